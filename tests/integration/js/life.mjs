// A repository from its creation to its end.
import { createRepo, deleteRepo, listModels, repoExists, whoAmI } from "@huggingface/hub";

const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN };
const repo = { type: "model", name: "alice/js" };

const { repoUrl } = await createRepo({ repo, ...hub });
const me = await whoAmI(hub);
const exists = [await repoExists({ repo, ...hub }), await repoExists({ repo: "alice/absent", ...hub })];
const listed = [];
for await (const model of listModels({ search: { owner: "alice" }, ...hub })) {
	listed.push(model.name);
}
await deleteRepo({ repo, ...hub });
if (await repoExists({ repo, ...hub })) {
	throw new Error("it is still there");
}
console.log(JSON.stringify({ repoUrl, me: me.name, exists, listed }));
