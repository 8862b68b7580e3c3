// SPDX-License-Identifier: Apache-2.0
#include "cli/top_screen.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/status_trouble.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"

enum {
	FILTER_MAX = 64,
	WHY = 256,
	ESCAPE = 27,
	BACKSPACE = 127,
	NAME_MIN = 16,
	CELL = 9,	/* columns that a number takes */
	HEAD_LINES = 3, /* above the rows */
	FOOT_LINES = 1,
	LONGEST_MS = 60000,
	SHORTEST_MS = 250,
};

enum { NORMAL, BAD, DIMMED, MARKED }; /* pairs of colours */

struct screen {
	const struct cli *cli;
	struct top_options o;
	struct top_model model;
	json_t *status; /* of the node, for its view and the head; or NULL */
	char why[WHY];	/* weftd could not be asked; "": it could */
	char filter[FILTER_MAX];
	bool typing, help, paused, reverse, utf8, ended;
	int first; /* row at the top */
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* ---- what there is to show ---- */

/* Tables are only looked at where they are shown. */
static json_t *status_request(const struct screen *s)
{
	json_t *request = client_request("status");

	json_object_set_new(request, "tables", json_boolean(s->o.view == TOP_VIEWS));
	return request;
}

static void ask(struct screen *s)
{
	_cleanup_json_ json_t *traffic = NULL, *status = NULL;
	int r = client_try(s->cli, client_request("traffic"), &traffic, s->why, sizeof(s->why));

	if (!r)
		r = client_try(s->cli, status_request(s), &status, s->why, sizeof(s->why));
	if (r)
		return;
	s->why[0] = '\0';
	if (top_model_add(&s->model, traffic))
		snprintf(s->why, sizeof(s->why), "weftd tells of no traffic");
	json_decref(s->status);
	s->status = TAKE_PTR(status);
}

static bool is_shown(const struct screen *s, const struct top_row *r)
{
	return !*s->filter || strcasestr(r->name, s->filter);
}

/* ---- drawing ---- */

static void put_head(const struct screen *s)
{
	const char *view = s->o.view < TOP_VIEWS ? top_view_names[s->o.view] : "node";
	char clock[16];
	time_t now = time(NULL);
	struct tm tm;

	if (!localtime_r(&now, &tm) || !strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		clock[0] = '\0';
	attron(A_BOLD);
	mvprintw(0, 0, "weft top - %s", view);
	attroff(A_BOLD);
	printw("  %s  every %.4gs  sorted by %s%s", clock, s->o.interval_ms / 1000.0,
	       top_column_names[s->o.sort], s->reverse ? ", reversed" : "");
	if (s->paused)
		printw("  paused");
	if (*s->filter || s->typing)
		printw("  filter: %s%s", s->filter, s->typing ? "_" : "");
}

static void put_summary(const struct screen *s)
{
	char rate[TOP_NUMBER], errors[TOP_NUMBER], p50[TOP_NUMBER], p99[TOP_NUMBER],
		bytes[TOP_NUMBER];
	const struct top_row *all = &s->model.all;

	move(1, 0);
	if (*s->why) {
		attron(COLOR_PAIR(BAD));
		addnstr(s->why, COLS - 1);
		attroff(COLOR_PAIR(BAD));
		return;
	}
	printw("%s requests/s  %s errors  p50 %s  p99 %s  tcp %sB/s", top_cell(all, TOP_RATE, rate),
	       top_cell(all, TOP_ERRORS, errors), top_cell(all, TOP_P50, p50),
	       top_cell(all, TOP_P99, p99), top_cell(all, TOP_TCP_BYTES, bytes));
	if (s->status)
		printw("  generation %lld", (long long)json_get_int(s->status, "generation", 0));
}

static const char *const headings[TOP_COLUMNS] = {
	"NAME", "RATE/s", "ERRORS", "P50", "P99", "TCP/s", "TCP B/s",
};

/* What is left beside the numbers and the sparkline, which a narrow terminal goes without. */
static int name_width(unsigned *spark)
{
	int left = COLS - 1 - (TOP_COLUMNS - 1) * CELL;

	*spark = left >= NAME_MIN + TOP_HISTORY + 1 ? TOP_HISTORY : 0;
	left -= *spark ? (int)*spark + 1 : 0;
	return left > 1 ? left : 1;
}

static void put_headings(const struct screen *s)
{
	unsigned spark;
	int width = name_width(&spark);

	attron(A_REVERSE);
	mvhline(2, 0, ' ', COLS);
	mvprintw(2, 0, "%-*.*s", width, width, headings[TOP_NAME]);
	for (int c = TOP_RATE; c < TOP_COLUMNS; c++)
		printw("%*s%s", CELL - 1, headings[c], (int)s->o.sort == c ? "*" : " ");
	if (spark)
		printw(" %-*s", (int)spark, "LAST RATES");
	attroff(A_REVERSE);
}

static void put_row(const struct screen *s, int y, const struct top_row *r)
{
	char text[3 * TOP_HISTORY + 1], cell[TOP_NUMBER];
	bool bad = r->value[TOP_ERRORS] > 0;
	unsigned spark;
	int width = name_width(&spark);

	move(y, 0);
	if (bad)
		attron(COLOR_PAIR(BAD));
	printw("%-*.*s", width, width, r->name);
	for (int c = TOP_RATE; c < TOP_COLUMNS; c++)
		printw("%*s ", CELL - 1, top_cell(r, (enum top_column)c, cell));
	if (bad)
		attroff(COLOR_PAIR(BAD));
	if (!spark)
		return;
	top_sparkline(r, spark, s->utf8, text);
	attron(COLOR_PAIR(MARKED));
	mvaddstr(y, COLS - (int)spark - 1, text);
	attroff(COLOR_PAIR(MARKED));
}

static int rows_room(void)
{
	int room = LINES - HEAD_LINES - FOOT_LINES;

	return room > 0 ? room : 0;
}

static int count_shown(const struct screen *s)
{
	int n = 0;

	for (size_t i = 0; i < s->model.rows[s->o.view].count; i++)
		n += is_shown(s, &s->model.rows[s->o.view].items[i]);
	return n;
}

static void put_rows(struct screen *s)
{
	int shown = count_shown(s), last = shown - rows_room(), n = 0;

	if (s->first > last)
		s->first = last;
	if (s->first < 0)
		s->first = 0;
	top_model_sort(&s->model, (enum top_view)s->o.view, s->o.sort, s->reverse);
	put_headings(s);
	for (size_t i = 0; i < s->model.rows[s->o.view].count; i++) {
		const struct top_row *r = &s->model.rows[s->o.view].items[i];

		if (!is_shown(s, r))
			continue;
		if (n >= s->first && n - s->first < rows_room())
			put_row(s, HEAD_LINES + n - s->first, r);
		n++;
	}
	if (!shown)
		mvprintw(HEAD_LINES, 0, "%s",
			 *s->filter ? "nothing has that in its name" : "no traffic yet");
}

/* ---- the node ---- */

static void put_bar(int y, const char *what, long long used, long long room, bool may_be_full)
{
	enum { BAR = 30 };
	int filled = room > 0 ? (int)(BAR * used / room) : 0;

	mvprintw(y, 0, "%-22s %10lld of %-10lld ", what, used, room);
	addch('[');
	attron(COLOR_PAIR(!may_be_full && room > 0 && used * 10 > room * 9 ? BAD : MARKED));
	for (int i = 0; i < BAR; i++)
		addch(i < filled ? '|' : ' ');
	attroff(COLOR_PAIR(BAD));
	attroff(COLOR_PAIR(MARKED));
	printw("] %3.0f%%", room > 0 ? 100.0 * (double)used / (double)room : 0);
}

static int put_lines(int y, const json_t *list, const char *what)
{
	json_t *line;
	size_t i;

	json_array_foreach(list, i, line)
	{
		attron(COLOR_PAIR(BAD));
		mvprintw(y++, 0, "%s: %s", what, json_string_value(line));
		attroff(COLOR_PAIR(BAD));
	}
	return y;
}

static void put_node(const struct screen *s)
{
	const json_t *n = s->status, *proxy = json_object_get(n, "proxy");
	json_t *table;
	int y = HEAD_LINES;
	size_t i;

	if (!n)
		return;
	mvprintw(y++, 0, "weftd %s, process %lld, %s; kernel %s", json_get_text(n, "version", "?"),
		 (long long)json_get_int(n, "pid", 0),
		 json_is_true(json_object_get(n, "ready")) ? "ready" : "not ready",
		 json_get_text(n, "kernel", "?"));
	mvprintw(y++, 0, "weft-proxy process %lld, %lld workers, restarted %lld times",
		 (long long)json_get_int(proxy, "pid", 0),
		 (long long)json_get_int(proxy, "workers", 0),
		 (long long)json_get_int(proxy, "restarts", 0));
	mvprintw(y++, 0, "%lld pods, %lld NICs, %lld connections by sockets",
		 (long long)json_get_int(n, "pods", 0), (long long)json_get_int(n, "nics", 0),
		 (long long)json_get_int(n, "sockets", 0));
	y = put_lines(y, json_object_get(n, "missing"), "missing");
	y = put_lines(y, json_object_get(n, "certificates"), "certificate");
	put_bar(++y, "connections by packets", json_get_int(n, "connections", 0),
		json_get_int(n, "max_connections", 0), false);
	json_array_foreach(json_object_get(n, "tables"), i, table)
	{
		if (++y < LINES - FOOT_LINES)
			put_bar(y, json_get_text(table, "name", "?"),
				json_get_int(table, "entries", 0), json_get_int(table, "room", 0),
				status_table_evicts(table));
	}
}

/* ---- help ---- */

static void put_help(void)
{
	static const char *const lines[] = {
		"1 2 3 4, Tab   services, workloads, edges (who calls whom), tables of the node",
		"s S            sort by the next, by the column before; r: the other way round",
		"/              only names that have what you type; Enter: done, Escape: all again",
		"Up Down PgUp PgDn Home End, j k   further rows",
		"+ -            ask more often, less often; p: pause; Space: ask now",
		"q              quit; ?: this help",
		"",
		"RATE and TCP are of the last five intervals, ERRORS, P50 and P99 of twenty.",
		"ERRORS: requests answered by 5xx, by a gRPC status other than 0, or not at all.",
		"TCP: connections without HTTP rules: opened, and bytes in both directions.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		mvaddnstr(HEAD_LINES + (int)i, 0, lines[i], COLS - 1);
}

static void draw(struct screen *s)
{
	erase();
	put_head(s);
	put_summary(s);
	if (s->help)
		put_help();
	else if (s->o.view < TOP_VIEWS)
		put_rows(s);
	else
		put_node(s);
	attron(COLOR_PAIR(DIMMED));
	mvaddnstr(LINES - 1, 0,
		  "1 services  2 workloads  3 edges  4 node  s sort  / filter  ? help  q quit",
		  COLS - 1);
	attroff(COLOR_PAIR(DIMMED));
	refresh();
}

/* ---- keys ---- */

static void type(struct screen *s, int key)
{
	size_t len = strlen(s->filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		s->typing = false;
	} else if (key == ESCAPE) {
		s->typing = false;
		s->filter[0] = '\0';
	} else if (key == KEY_BACKSPACE || key == BACKSPACE || key == '\b') {
		if (len)
			s->filter[len - 1] = '\0';
	} else if (key > ' ' && key < BACKSPACE && len + 1 < FILTER_MAX) {
		s->filter[len] = (char)key;
		s->filter[len + 1] = '\0';
	}
	s->first = 0;
}

static void change_interval(struct screen *s, unsigned ms)
{
	if (ms >= SHORTEST_MS && ms <= LONGEST_MS)
		s->o.interval_ms = ms;
}

static void change_view(struct screen *s, int view)
{
	s->o.view = view % (TOP_VIEWS + 1);
	s->first = 0;
}

static void change_sort(struct screen *s, int by)
{
	s->o.sort = (enum top_column)((by + TOP_COLUMNS) % TOP_COLUMNS);
	s->first = 0;
}

static void scroll_by(struct screen *s, int key)
{
	int page = rows_room();

	switch (key) {
	case KEY_UP:
	case 'k':
		s->first--;
		break;
	case KEY_DOWN:
	case 'j':
		s->first++;
		break;
	case KEY_PPAGE:
		s->first -= page;
		break;
	case KEY_NPAGE:
		s->first += page;
		break;
	case KEY_HOME:
		s->first = 0;
		break;
	case KEY_END:
		s->first = 1 << 30;
		break;
	default:
		break;
	}
}

/* Whether weftd is to be asked at once. */
static bool press(struct screen *s, int key)
{
	if (s->typing) {
		type(s, key);
		return false;
	}
	if (key >= '1' && key <= '1' + TOP_VIEWS)
		change_view(s, key - '1');
	switch (key) {
	case 'q':
		s->ended = true;
		break;
	case '?':
	case 'h':
		s->help = !s->help;
		break;
	case ESCAPE:
		s->help = false;
		s->filter[0] = '\0';
		break;
	case '\t':
		change_view(s, s->o.view + 1);
		break;
	case 's':
		change_sort(s, (int)s->o.sort + 1);
		break;
	case 'S':
		change_sort(s, (int)s->o.sort - 1);
		break;
	case 'r':
		s->reverse = !s->reverse;
		break;
	case '/':
		s->typing = true;
		break;
	case 'p':
		s->paused = !s->paused;
		break;
	case '+':
		change_interval(s, s->o.interval_ms / 2);
		break;
	case '-':
		change_interval(s, s->o.interval_ms * 2);
		break;
	case ' ':
		return true;
	default:
		scroll_by(s, key);
	}
	return false;
}

/* ---- the terminal ---- */

static void begin(struct screen *s)
{
	initscr();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, true);
	set_escdelay(25);
	curs_set(0);
	if (has_colors() && !getenv("NO_COLOR")) {
		start_color();
		use_default_colors();
		init_pair(BAD, COLOR_RED, -1);
		init_pair(DIMMED, COLOR_CYAN, -1);
		init_pair(MARKED, COLOR_GREEN, -1);
	}
	s->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Keys until the next time to ask: what each does is seen at once. */
static void wait_for_keys(struct screen *s, uint64_t until)
{
	for (uint64_t now = clock_ms(); now < until && !s->ended && !stopped; now = clock_ms()) {
		int key;

		timeout((int)(until - now));
		key = getch();
		if (key == ERR)
			continue;
		if (press(s, key))
			return;
		draw(s);
	}
}

int top_screen_run(const struct cli *cli, const struct top_options *o)
{
	struct screen s = { .cli = cli, .o = *o, .model = { .namespace = cli->namespace } };

	snprintf(s.filter, sizeof(s.filter), "%s", o->filter ?: "");
	setlocale(LC_CTYPE, "");
	ask(&s);
	if (*s.why)
		return cmd_failed("%s", s.why);
	if (!isatty(STDOUT_FILENO) || !getenv("TERM"))
		return cmd_failed("top: standard output is no terminal: --once prints a table");
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
	begin(&s);
	while (!s.ended && !stopped) {
		draw(&s);
		wait_for_keys(&s, clock_ms() + s.o.interval_ms);
		if (!s.paused && !s.ended && !stopped)
			ask(&s);
	}
	endwin();
	top_model_free(&s.model);
	json_decref(s.status);
	return STATUS_DONE;
}
