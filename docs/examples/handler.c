/* A discovery handler in C, written from docs/exchange.md alone; numbers name its sections. A device for each string
 * of `descriptions`, none while inputs/availability contains OFFLINE. For WASI (see 14) or for the machine itself:
 *   cc -O2 -Wall -Wextra -o handler docs/examples/handler.c && EXCHANGE_DIRECTORY=/tmp/exchange ./handler
 * It needs no JSON library: strings of a request that go into an answer are copied as they stand, escapes and all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOBS = 1024, DEVICES = 10000, REQUEST = 4194304, ANSWER = 8388608, INPUT = 65536 }; /* 10 */
static char asked[JOBS][65], known[JOBS][65], request[REQUEST + 1], answer[ANSWER + 1], before[ANSWER + 1];

static void fail(const char *what) { perror(what); abort(); } /* 13 */
static const char *blank(const char *at) { return at + strspn(at, " \t\r\n"); }
static int is_message(const char *name) {
    return strspn(name, "0123456789abcdef") == 64 && !strcmp(name + 64, ".json");
}
static int among(char (*list)[65], int count, const char *id) {
    while (count-- && strncmp(list[count], id, 64)) continue;
    return count >= 0;
}

/* A file's bytes with a NUL behind them; -1 where it is absent, unreadable or larger than `most`. */
static long slurp(const char *path, char *into, long most) {
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    long length = (long)fread(into, 1, most, file), more = fgetc(file) != EOF;
    fclose(file);
    into[length] = 0;
    return more ? -1 : length;
}

static void write_whole(const char *folder, const char *name, const char *text) { /* 1 */
    char temporary[128], path[128];
    sprintf(temporary, "%s/.%s.handler", folder, name), sprintf(path, "%s/%s", folder, name);
    FILE *file = fopen(temporary, "w");
    int bad = !file || fputs(text, file) < 0;
    if (bad || fclose(file) || rename(temporary, path)) fail(path);
}

/* Behind a value, and the white space after it. The proxy wrote it, so it is JSON. */
static const char *skip(const char *at) {
    int depth = 0;
    do {
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++) at += *at == '\\' && at[1];
            at += *at == '"';
        } else if (*at == '{' || *at == '[' || *at == '}' || *at == ']') {
            depth += *at == '{' || *at == '[' ? 1 : -1, at++;
        } else at += *at == ',' || *at == ':' ? 1 : strcspn(at, " \t\r\n,:]}");
        at = blank(at);
    } while (*at && depth > 0);
    return at;
}

/* The value of an object's field; NULL where there is none. */
static const char *field(const char *object, const char *name) {
    if (!object || *object != '{') return NULL;
    for (object = blank(object + 1); *object == '"'; object = blank(object + (*object == ','))) {
        const char *key = object + 1, *value = blank(skip(object) + 1);
        if (!strncmp(key, name, strlen(name)) && key[strlen(name)] == '"') return value;
        object = skip(value);
    }
    return NULL;
}

static void respond(const char *id, int anew) { /* 7 */
    static char input[INPUT + 1];
    char name[80], path[128];
    int offline = slurp("inputs/availability", input, INPUT) > 0 && strstr(input, "OFFLINE"), count = 0;
    size_t head = sprintf(answer, "{\"protocol\":1,\"id\":\"%s\",", id), at = head;
    const char *text = field(field(blank(request), "details"), "descriptions"), *list = text;
    at += sprintf(answer + at, "\"devices\":[");
    if (list && *list == '[')
        for (text = blank(text + 1); *text == '"'; text = blank(text + (*text == ','))) {
            int size = skip(text) - text;
            const char *device = "%s{\"id\":%.*s,\"properties\":{\"DESCRIPTION\":%.*s}}";
            if (!offline && count < DEVICES && at + 2 * size + 64 < ANSWER)
                at += sprintf(answer + at, device, count++ ? "," : "", size, text, size, text);
            text += size;
        }
    if (!list || *list != '[' || *text != ']')
        at = head + sprintf(answer + head, "\"error\":{\"kind\":\"invalid_details\",\"message\":\"give a list of "
                                           "strings\",\"field\":\"descriptions\"}}");
    else strcpy(answer + at, "]}");
    sprintf(name, "%s.json", id), sprintf(path, "answers/%s", name);
    if (anew || slurp(path, before, ANSWER) < 0 || strcmp(before, answer)) write_whole("answers", name, answer);
}

/* 3. How many jobs there are now. */
static int look(int jobs) {
    int count = 0;
    char path[600];
    struct dirent *entry;
    DIR *folders = opendir("requests"), *folder;
    if (!folders) return jobs; /* which is not "no requests" */
    while ((entry = readdir(folders))) {
        int end = snprintf(path, sizeof path, "requests/%s", entry->d_name);
        if (entry->d_name[0] == '.' || !(folder = opendir(path))) continue;
        while ((entry = readdir(folder))) {
            if (!is_message(entry->d_name) || count == JOBS || among(asked, count, entry->d_name)) continue;
            snprintf(path + end, sizeof path - end, "/%s", entry->d_name);
            const char *protocol = slurp(path, request, REQUEST) < 0 ? NULL : field(blank(request), "protocol");
            if (!protocol || strtol(protocol, NULL, 10) != 1) continue; /* 12 */
            memcpy(asked[count], entry->d_name, 64);
            respond(asked[count++], !among(known, jobs, entry->d_name));
        }
        closedir(folder);
    }
    closedir(folders), memcpy(known, asked, sizeof known);
    if (!(folder = opendir("answers"))) return count;
    while ((entry = readdir(folder)))
        if (is_message(entry->d_name) && !among(known, count, entry->d_name))
            sprintf(path, "answers/%s", entry->d_name), unlink(path);
    closedir(folder);
    return count;
}

static int announce(int at_start) { /* 2 */
    static unsigned long mark;
    char hello[128];
    int wake, pause;
    for (pause = 5; (wake = open("wake", O_RDWR)) < 0; pause = pause < 100 ? 2 * pause : 200)
        if (errno != ENOENT || usleep(1000 * pause)) fail("wake");
    if (at_start && (unlink("stop"), getentropy(&mark, sizeof mark))) fail("no entropy");
    sprintf(hello, "{\"protocol\":1,\"name\":\"inC\",\"instance\":\"%lx\"}", mark);
    write_whole(".", "handler.json", hello);
    return wake;
}

int main(void) {
    const char *exchange = getenv("EXCHANGE_DIRECTORY");
    if (chdir(exchange ? exchange : "/exchange")) fail("the exchange");
    char rings[512];
    struct stat named, held;
    for (int wake = announce(1), jobs = 0;;) {
        if (!access("stop", F_OK)) return unlink("handler.json"), 0; /* 9 */
        jobs = look(jobs);
        struct pollfd waited = {.fd = wake, .events = POLLIN};
        if (poll(&waited, 1, -1) > 0 && read(wake, rings, sizeof rings) < 0) fail("wake");
        int there = !stat("wake", &named) && !fstat(wake, &held) && named.st_dev == held.st_dev;
        if (!there || named.st_ino != held.st_ino) close(wake), wake = announce(0); /* 4 */
    }
}
