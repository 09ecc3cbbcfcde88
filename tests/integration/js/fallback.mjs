// Large files while there is no Xet protocol: the client must take the plain way.
import { createRepo, listFiles, uploadFiles } from "@huggingface/hub";

const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN };
const repo = "alice/js";
await createRepo({ repo, ...hub });
const content = new Blob([new Uint8Array(400_000)]);
await uploadFiles({ repo, files: [{ path: "data.bin", content }], useXet: process.argv[2] === "true", ...hub });
for await (const entry of listFiles({ repo, ...hub })) {
	if (entry.path === "data.bin") {
		console.log(JSON.stringify({ size: entry.lfs.size }));
	}
}
