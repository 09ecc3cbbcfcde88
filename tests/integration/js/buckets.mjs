// Buckets: made, filled, listed, read, copied inside, emptied and deleted.
import { createHash } from "node:crypto";
import {
	copyFile,
	createRepo,
	deleteFiles,
	deleteRepo,
	downloadFile,
	fileDownloadInfo,
	fileExists,
	listFiles,
	pathsInfo,
	uploadFiles,
} from "@huggingface/hub";

const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN };
const repo = { type: "bucket", name: "alice/js" };
const bytes = Uint8Array.from({ length: 1_500_000 }, (_, i) => i % 251);

async function list(options) {
	const found = [];
	for await (const entry of listFiles({ repo, ...options, ...hub })) {
		found.push([entry.path, entry.type]);
	}
	return found;
}

const { repoUrl } = await createRepo({ repo, visibility: "private", ...hub });
await uploadFiles({
	repo,
	files: [
		{ path: "a.txt", content: new Blob(["hello"]) },
		{ path: "sub/big.bin", content: new Blob([bytes]) },
		{ path: "empty", content: new Blob([]) },
	],
	useXet: true,
	...hub,
});
const files = await list({ recursive: true });
const folder = await list({ recursive: false });
const [path] = await pathsInfo({ repo, paths: ["a.txt", "sub"], ...hub });
const info = await fileDownloadInfo({ repo, path: "a.txt", ...hub });
const text = await (await downloadFile({ repo, path: "a.txt", ...hub })).text();
const big = Buffer.from(await (await downloadFile({ repo, path: "sub/big.bin", ...hub })).arrayBuffer());
const exists = [await fileExists({ repo, path: "a.txt", ...hub }), await fileExists({ repo, path: "b.txt", ...hub })];
await copyFile({ source: { repo, path: "a.txt" }, destination: { repo, path: "copy.txt" }, ...hub });
await deleteFiles({ repo, paths: ["a.txt"], ...hub });
const left = await list({ recursive: true });
await deleteRepo({ repo, ...hub });
console.log(
	JSON.stringify({
		url: repoUrl,
		files: files.map(([name]) => name),
		folder,
		path,
		info,
		text,
		exists,
		big: createHash("sha256").update(big).digest("hex"),
		left: left.map(([name]) => name),
	}),
);
