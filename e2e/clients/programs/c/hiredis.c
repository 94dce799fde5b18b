// An application that writes through hiredis, which leaves connecting again to its user: after an error of the connection, and
// only then, it does. Arguments: HOST PORT PREFIX INTERVAL START; without any it prints the library's version.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *kind, long n, const char *text) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	printf("%s %ld %ld%s%s\n", kind, (long)t.tv_sec * 1000 + t.tv_nsec / 1000000, n, *text ? " " : "", text);
	fflush(stdout);
}

// command returns 0, or 1 after it has told of an error.
static int command(redisContext *c, long n, const char *first, const char *second, const char *third) {
	const char *words[] = {first, second, third};
	redisReply *reply = redisCommandArgv(c, third ? 3 : 2, words, NULL);
	if (reply == NULL) {
		tell("E", n, c->errstr);
		return 1;
	}
	int bad = reply->type == REDIS_REPLY_ERROR;
	if (bad)
		tell("E", n, reply->str);
	freeReplyObject(reply);
	return bad;
}

static redisContext *dial(const char *host, int port, long n) {
	const char *settings = getenv("SETTINGS");
	struct timeval half = {0, 500000};
	int tuned = settings != NULL && strcmp(settings, "tuned") == 0;
	redisContext *c = tuned ? redisConnectWithTimeout(host, port, half) : redisConnect(host, port);
	if (c == NULL || c->err) {
		tell("E", n, c ? c->errstr : "out of memory");
	} else {
		if (tuned)
			redisSetTimeout(c, half);
		if (!command(c, n, "AUTH", getenv("REDIS_PASSWORD"), NULL))
			return c;
	}
	if (c)
		redisFree(c);
	return NULL;
}

int main(int argc, char **argv) {
	if (argc != 6) {
		printf("%d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
		return argc != 1;
	}
	int port = atoi(argv[2]);
	useconds_t interval = (useconds_t)atoi(argv[4]) * 1000;
	redisContext *c = NULL;
	for (long n = atol(argv[5]);; n++) {
		char key[256], value[32];
		snprintf(key, sizeof key, "%s:%ld", argv[3], n);
		snprintf(value, sizeof value, "%ld", n);
		if (c == NULL && (c = dial(argv[1], port, n)) == NULL) {
			usleep(20000);
			continue;
		}
		if (command(c, n, "SET", key, value)) {
			if (c->err) {
				redisFree(c);
				c = NULL;
			}
			usleep(20000);
			continue;
		}
		tell("A", n, "");
		usleep(interval);
	}
}
