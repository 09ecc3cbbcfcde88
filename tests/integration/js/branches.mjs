// Commits, a branch, a pull request, a promise about the parent that does not hold.
import { commit, createBranch, createRepo, listCommits, listFiles } from "@huggingface/hub";

const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN };
const repo = "alice/js";
const add = (path, text) => ({ operation: "addOrUpdate", path, content: new Blob([text]) });

async function list(revision) {
	const names = [];
	for await (const entry of listFiles({ repo, revision, ...hub })) {
		names.push(entry.path);
	}
	return names.filter((name) => name !== ".gitattributes").sort();
}

await createRepo({ repo, ...hub });
const first = await commit({ repo, title: "first", operations: [add("a.txt", "a")], ...hub });
await createBranch({ repo, branch: "new/branch", revision: "main", ...hub });
await commit({ repo, title: "second", operations: [add("b.txt", "b"), { operation: "delete", path: "a.txt" }], ...hub });
const titles = [];
for await (const one of listCommits({ repo, ...hub })) {
	titles.push(one.title);
}
const onBranch = [];
for await (const entry of listFiles({ repo, revision: encodeURIComponent("new/branch"), ...hub })) {
	onBranch.push(entry.path);
}
const proposal = await commit({
	repo,
	title: "proposal",
	operations: [add("proposal.txt", "p")],
	isPullRequest: true,
	...hub,
});
let conflict = null;
try {
	await commit({ repo, title: "late", operations: [add("c.txt", "c")], parentCommit: first.commit.oid, ...hub });
} catch (error) {
	conflict = error.statusCode;
}
console.log(
	JSON.stringify({
		titles,
		onBranch: onBranch.filter((name) => name !== ".gitattributes"),
		pullRequest: proposal.pullRequestUrl,
		inPullRequest: await list("refs/pr/1"),
		conflict,
	}),
);
