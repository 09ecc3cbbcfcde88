/* static.h — the style sheet, the script and the icon: in the program, addressed by their content.
 */
#pragma once

/* "/-/static/h.css?v=0123456789ab"; aborts on a name that is not there. */
const char *static_address(const char *name);
