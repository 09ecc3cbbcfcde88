// Files: up, listed, down, gone.
import assert from "node:assert";
import { createHash } from "node:crypto";
import { createRepo, deleteFile, downloadFile, fileExists, listFiles, pathsInfo, uploadFiles } from "@huggingface/hub";

const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN };
const repo = "alice/js";
const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);

async function list() {
	const names = [];
	for await (const entry of listFiles({ repo, recursive: true, ...hub })) {
		if (entry.type === "file") {
			names.push(entry.path);
		}
	}
	return names.sort();
}

await createRepo({ repo, ...hub });
await uploadFiles({
	repo,
	files: [
		{ path: "sub/note.txt", content: new Blob(["hello"]) },
		{ path: "sub/odd name 1.txt", content: new Blob(["odd"]) },
		{ path: "large.bin", content: new Blob([large]) },
	],
	...hub,
});
const files = await list();
const [info] = await pathsInfo({ repo, paths: ["large.bin"], expand: true, ...hub });
assert.equal(info.lfs.size, 3_000_000);
assert.ok(info.lastCommit.title);
assert.deepEqual(
	[await fileExists({ repo, path: "sub/note.txt", ...hub }), await fileExists({ repo, path: "zz", ...hub })],
	[true, false],
);

const get = async (path) => downloadFile({ repo, path, ...hub });
const hash = createHash("sha256").update(Buffer.from(await (await get("large.bin")).arrayBuffer())).digest("hex");
const pointer = await (await downloadFile({ repo, path: "large.bin", raw: true, ...hub })).text();
assert.ok(pointer.startsWith("version https://git-lfs.github.com/spec/v1\noid sha256:"));
const note = await get("sub/note.txt");
await uploadFiles({ repo, files: [{ path: "empty.txt", content: new Blob([]) }], ...hub });
const result = {
	files,
	large: hash,
	note: await note.text(),
	part: await note.slice(1, 4).text(),
	odd: await (await get("sub/odd name 1.txt")).text(),
	empty: (await get("empty.txt")).size,
	absent: await get("absent.txt"),
};
await deleteFile({ repo, path: "sub/note.txt", ...hub });
console.log(JSON.stringify({ ...result, left: await list() }));
