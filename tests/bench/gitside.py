"""Row `git`: clone and ls-remote, against nginx + fcgiwrap + git http-backend."""

import shutil

from lib import TOKEN, USER, Hearth, Nginx, Work, measured, one_core, options, rounds_of, run_git


def make_history(work, files=30, commits=20):
    """A bare, packed repository of `files` files whose contents change over `commits` commits."""
    import random

    source, stream = random.Random(7), []
    for n in range(commits):
        message = f"change {n}"
        stream.append(f"commit refs/heads/main\ncommitter bench <bench@localhost> {1700000000 + n} +0000\n"
                      f"data {len(message)}\n{message}\n")
        for i in range(files) if n == 0 else source.sample(range(files), 5):
            text = "".join(f"line {j} of file {i}: {source.getrandbits(64):x}\n" for j in range(60))
            stream.append(f"M 100644 inline src/part{i % 3}/file{i}.txt\ndata {len(text)}\n{text}\n")
    bare = work / "root" / "bench.git"
    run_git(work, "init", "-q", "--bare", "-b", "main", bare)
    run_git(work, "-C", bare, "fast-import", "--quiet", input="".join(stream).encode())
    run_git(work, "-C", bare, "gc", "-q")
    return bare


def clone_and_ls_remote(report):
    times = 10 if options.quick else 40
    with Work("git") as work, one_core():
        bare = make_history(work)
        with Hearth(work, "--loops", "1") as hub, Nginx(work, work / "root", git=True) as nginx:
            repo = hub.new_repo("git")
            run_git(work, "-C", bare, "push", "-q", "--force",
                    f"http://{USER}:{TOKEN}@127.0.0.1:{hub.port}/{repo}", "main:main")
            sides = {
                "hearth": (hub, f"http://127.0.0.1:{hub.port}/{repo}"),
                "http-backend": (nginx, f"http://127.0.0.1:{nginx.port}/git/bench.git"),
            }

            def rounds(act):
                def fn(server, url):
                    def run(samples):
                        with measured(server, times, samples):
                            for _ in range(times):
                                act(url)

                    return run

                return rounds_of({name: fn(*side) for name, side in sides.items()})

            def clone(url):
                shutil.rmtree(work / "clone", ignore_errors=True)
                run_git(work, "clone", "-q", url, work / "clone")

            for what, act in (("git clone, 30 files, 20 commits", clone),
                              ("git ls-remote", lambda url: run_git(work, "ls-remote", url))):
                report.ratio("git", what, rounds(act), "<= 0.2", reference="http-backend", lower=True, scale=1e3)
            clone(sides["hearth"][1])
            run_git(work, "-C", work / "clone", "fsck", "--strict")
