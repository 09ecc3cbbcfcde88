/* misc.c — small routes that clients expect to be there. */
#include "hub/hub.h"

/* hub-api.md 2.2: asked once by every client process; a slow answer delays its start. */
err hub_agent_harnesses(struct req *r)
{
    reply_header(r, "Cache-Control", STR("public, max-age=86400"));
    return reply_bytes(r, 200, "application/json; charset=utf-8",
                       STR("{\"standardEnvVars\":[],\"harnesses\":{}}"));
}

err hub_telemetry(struct req *r)
{
    return reply_empty(r, 204);
}

err hub_health(struct req *r)
{
    return reply_text(r, 200, STR("ok\n"));
}
