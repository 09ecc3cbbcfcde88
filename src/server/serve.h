/* serve.h — `hearth serve` and `hearth routes`. */
#pragma once

int server_serve(int argc, char **argv); /* exit code: 0 stopped, 1 could not start, 2 usage */
int server_routes_list(void);            /* prints the routes as a Markdown table */
