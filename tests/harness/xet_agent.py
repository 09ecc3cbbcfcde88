"""A transfer agent for git-lfs, as git-xet is one: uploads by what the batch answer's headers say.

git-lfs starts it and speaks lines of JSON with it. Runs in an environment with hf_xet.
"""

import json
import sys

import hf_xet


def say(**message):
    print(json.dumps(message), flush=True)


def upload(order):
    headers = order["action"]["header"]
    token = (headers["X-Xet-Access-Token"], int(headers["X-Xet-Token-Expiration"]))
    hf_xet.upload_files([order["path"]], headers["X-Xet-Cas-Url"], token, lambda: token, None, "model")


def main():
    for line in sys.stdin:
        order = json.loads(line)
        if order["event"] == "init":
            say()
        elif order["event"] == "upload":
            try:
                upload(order)
                say(event="complete", oid=order["oid"])
            except Exception as e:
                say(event="complete", oid=order["oid"], error={"code": 1, "message": f"{type(e).__name__}: {e}"})
        elif order["event"] == "terminate":
            return


if __name__ == "__main__":
    main()
