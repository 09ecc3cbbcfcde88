// What goes wrong, as HubApiError tells it.
import { createRepo, listFiles, modelInfo, uploadFile } from "@huggingface/hub";

const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN };

async function failure(call) {
	try {
		await call();
	} catch (error) {
		return { status: error.statusCode, text: error.message.split(". URL:")[0].split("\n")[0] };
	}
	throw new Error("this was expected to fail");
}

const first = async (repo, revision) => (await listFiles({ repo, revision, ...hub }).next()).value;
await createRepo({ repo: "bob/own", ...hub });
console.log(
	JSON.stringify({
		secret: await failure(() => modelInfo({ name: "alice/secret", ...hub })),
		absent: await failure(() => modelInfo({ name: "alice/absent", ...hub })),
		revision: await failure(() => first("bob/own", "nowhere")),
		write: await failure(() =>
			createRepo({ repo: "alice/planted", ...hub }).then(() =>
				uploadFile({ repo: "alice/planted", file: { path: "x", content: new Blob(["x"]) }, ...hub }),
			),
		),
	}),
);
