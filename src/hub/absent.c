/* absent.c — what clients ask for and this hub does not have: a sentence that says so, and what to
 * use instead.  Everything else that is not there gets the general answer of server/answer.c. */
#include "hub/hub.h"

#define ABSENT(handler, sentence)                                                                  \
    err handler(struct req *r)                                                                     \
    {                                                                                              \
        static const struct err_info e = {404, NULL, STR_INIT(sentence), NULL, {0}};               \
                                                                                                   \
        (void)r;                                                                                   \
        return &e;                                                                                 \
    }

ABSENT(hub_absent_access_requests,
       "This hub has no gated repositories and no access requests; make the repository private and "
       "add people to its organization with `hearth admin org member add`.")
ABSENT(hub_absent_collections,
       "This hub has no collections yet; give repositories a common tag in their cards and list "
       "them with /api/models?filter=TAG.")
ABSENT(hub_absent_discussions,
       "This hub opens and lists pull requests, but does not discuss or merge them yet; fetch "
       "refs/pr/N with git, and push it to a branch to merge it.")
ABSENT(hub_absent_followers,
       "Nobody follows anybody on this hub; /api/organizations/NAME/members lists who is in an "
       "organization.")
ABSENT(hub_absent_jobs,
       "This hub runs no jobs; run the command on a machine of your own, with HF_ENDPOINT set to "
       "this hub.")
ABSENT(hub_absent_kernels,
       "This hub has no kernel repositories; keep the files in a model repository.")
ABSENT(hub_absent_notifications,
       "This hub sends no notifications; /api/models?sort=lastModified shows what changed.")
ABSENT(hub_absent_oauth,
       "This hub has no browser sign-in yet; use a token: `hf auth login --token TOKEN`, made with "
       "`hearth admin token add USER`.")
ABSENT(hub_absent_papers, "This hub has no papers; name them in the cards of repositories.")
ABSENT(hub_absent_search,
       "This hub has no such search; use /api/models?search=TEXT or ?filter=TAG, and the same for "
       "datasets and spaces.")
ABSENT(hub_absent_socials, "This hub keeps no links to other sites of users and organizations.")
ABSENT(hub_absent_spaces,
       "This hub keeps the files of Spaces but does not run them yet; clone the repository and "
       "start the app on a machine of your own.")
ABSENT(hub_absent_tags,
       "This hub has no list of all tags; use /api/models?filter=TAG, and the same for datasets.")
ABSENT(hub_absent_webhooks,
       "This hub has no webhooks yet; ask /api/models/NAMESPACE/NAME/refs for what changed.")
