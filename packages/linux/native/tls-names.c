/* Sets: which context answers for which name. A set's names are replaced as a whole, while other threads look things
 * up in the old ones; a session keeps those that it began with. */
#include "tls.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct line {
  struct context *context;
  char **excluded;
  size_t excluded_count;
};

struct entry {
  struct entry *next;
  const struct line *line;
  bool wildcard; /* `name` begins with the dot then */
  char name[];
};

struct names {
  _Atomic int references;
  bool strict;
  struct line *lines;
  size_t lines_count;
  struct context **defaults;
  size_t defaults_count;
  size_t buckets; /* a power of two */
  struct entry *table[];
};

struct set {
  pthread_mutex_t lock;
  struct names *current;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct set **sets;
static int count, room;
static _Atomic int held;

static uint32_t hash_of(const char *name) {
  uint32_t hash = 2166136261u;
  for (; *name != 0; name++) hash = (hash ^ (uint8_t)*name) * 16777619u;
  return hash ^ (hash >> 15);
}

void names_free(struct names *names) {
  if (names == NULL || atomic_fetch_sub(&names->references, 1) != 1) return;
  for (size_t i = 0; i < names->buckets; i++) {
    for (struct entry *at = names->table[i], *next; at != NULL; at = next) {
      next = at->next;
      free(at);
    }
  }
  for (size_t i = 0; i < names->lines_count; i++) {
    struct line *line = &names->lines[i];
    for (size_t k = 0; k < line->excluded_count; k++) free(line->excluded[k]);
    free(line->excluded);
    if (line->context != NULL) SSL_CTX_free(line->context->ssl);
  }
  for (size_t i = 0; i < names->defaults_count; i++) {
    if (names->defaults[i] != NULL) SSL_CTX_free(names->defaults[i]->ssl);
  }
  free(names->lines);
  free(names->defaults);
  free(names);
}

static bool add_name(struct names *names, const struct line *line, const char *name) {
  bool wildcard = name[0] == '*';
  if (wildcard) name++;
  size_t size = strlen(name) + 1;
  struct entry *entry = malloc(sizeof *entry + size);
  if (entry == NULL) return false;
  entry->line = line;
  entry->wildcard = wildcard;
  memcpy(entry->name, name, size);
  /* At the end of its chain: what stands first in the list wins. */
  struct entry **at = &names->table[hash_of(name) & (names->buckets - 1)];
  while (*at != NULL) at = &(*at)->next;
  entry->next = NULL;
  *at = entry;
  return true;
}

static struct names *build(const struct names_line *lines, size_t lines_count, const int *defaults,
                           size_t defaults_count) {
  size_t total = 0, buckets = 8;
  for (size_t i = 0; i < lines_count; i++) total += lines[i].names_count;
  while (buckets < total * 2) buckets *= 2;
  struct names *names = calloc(1, sizeof *names + buckets * sizeof names->table[0]);
  if (names == NULL) return NULL;
  names->references = 1;
  names->buckets = buckets;
  names->lines = calloc(lines_count + 1, sizeof *names->lines);
  names->defaults = calloc(defaults_count + 1, sizeof *names->defaults);
  bool fine = names->lines != NULL && names->defaults != NULL;
  for (size_t i = 0; fine && i < defaults_count; i++) {
    names->defaults_count++;
    fine = (names->defaults[i] = context_take(defaults[i])) != NULL && !names->defaults[i]->client;
  }
  for (size_t i = 0; fine && i < lines_count; i++) {
    struct line *line = &names->lines[i];
    names->lines_count++;
    fine = (line->context = context_take(lines[i].context)) != NULL && !line->context->client;
    if (fine) fine = (line->excluded = calloc(lines[i].excluded_count + 1, sizeof *line->excluded)) != NULL;
    for (size_t k = 0; fine && k < lines[i].excluded_count; k++) {
      line->excluded_count++;
      fine = (line->excluded[k] = strdup(lines[i].excluded[k])) != NULL;
    }
    for (size_t k = 0; fine && k < lines[i].names_count; k++) fine = add_name(names, line, lines[i].names[k]);
  }
  if (fine) return names;
  names_free(names);
  return NULL;
}

static struct set *set_of(int id) {
  pthread_mutex_lock(&lock);
  struct set *set = id >= 0 && id < count ? sets[id] : NULL;
  pthread_mutex_unlock(&lock);
  return set;
}

int set_create(void) {
  struct set *set = calloc(1, sizeof *set);
  if (set == NULL) return -1;
  pthread_mutex_init(&set->lock, NULL);
  pthread_mutex_lock(&lock);
  if (count == room) {
    int wanted = room == 0 ? 16 : room * 2;
    struct set **more = realloc(sets, wanted * sizeof *more);
    if (more == NULL) {
      pthread_mutex_unlock(&lock);
      free(set);
      return -1;
    }
    sets = more;
    room = wanted;
  }
  int id = count++;
  sets[id] = set;
  pthread_mutex_unlock(&lock);
  atomic_fetch_add(&held, 1);
  return id;
}

/* The few bytes of the set itself stay, since a thread may be about to look into it. */
void set_release(int id) {
  struct set *set = set_of(id);
  if (set == NULL) return;
  pthread_mutex_lock(&set->lock);
  struct names *names = set->current;
  set->current = NULL;
  pthread_mutex_unlock(&set->lock);
  if (names != NULL) names_free(names);
  atomic_fetch_sub(&held, 1);
}

int sets_held(void) { return atomic_load(&held); }

int set_fill(int id, const struct names_line *lines, size_t lines_count, const int *defaults, size_t defaults_count,
             bool strict) {
  struct set *set = set_of(id);
  struct names *names = set == NULL ? NULL : build(lines, lines_count, defaults, defaults_count);
  if (names == NULL) return -1;
  names->strict = strict;
  pthread_mutex_lock(&set->lock);
  struct names *old = set->current;
  set->current = names;
  pthread_mutex_unlock(&set->lock);
  if (old != NULL) names_free(old);
  return 0;
}

struct names *set_names(int id) {
  struct set *set = set_of(id);
  if (set == NULL) return NULL;
  pthread_mutex_lock(&set->lock);
  struct names *names = set->current;
  if (names != NULL) atomic_fetch_add(&names->references, 1);
  pthread_mutex_unlock(&set->lock);
  return names;
}

struct context *names_first(const struct names *names) {
  if (names->defaults_count > 0) return names->defaults[0];
  return names->lines_count > 0 ? names->lines[0].context : NULL;
}

static bool is_excluded(const struct line *line, const char *name) {
  for (size_t i = 0; i < line->excluded_count; i++) {
    if (strcasecmp(line->excluded[i], name) == 0) return true;
  }
  return false;
}

/* One of each kind of key, the first of its kind: then ECDSA before RSA, as far as the client takes them. */
struct choice {
  struct context *of[KEY_OTHER + 1];
};

static void offer(struct choice *choice, struct context *context) {
  if (choice->of[context->key] == NULL) choice->of[context->key] = context;
}

static struct context *best(const struct choice *choice, bool takes_rsa, bool takes_ecdsa) {
  if (takes_ecdsa && choice->of[KEY_ECDSA] != NULL) return choice->of[KEY_ECDSA];
  if (takes_rsa && choice->of[KEY_RSA] != NULL) return choice->of[KEY_RSA];
  /* The client will say itself that it cannot use it. */
  for (int kind = KEY_OTHER; kind >= KEY_NONE; kind--) {
    if (choice->of[kind] != NULL) return choice->of[kind];
  }
  return NULL;
}

static void look_up(const struct names *names, const char *key, const char *name, bool wildcard,
                    struct choice *choice) {
  for (const struct entry *at = names->table[hash_of(key) & (names->buckets - 1)]; at != NULL; at = at->next) {
    if (at->wildcard != wildcard || strcmp(at->name, key) != 0) continue;
    if (wildcard && is_excluded(at->line, name)) continue;
    offer(choice, at->line->context);
  }
}

struct context *names_choose(const struct names *names, const char *name, bool takes_rsa, bool takes_ecdsa) {
  if (name != NULL) {
    struct choice choice = {0};
    look_up(names, name, name, false, &choice);
    struct context *found = best(&choice, takes_rsa, takes_ecdsa);
    if (found != NULL) return found;
    const char *dot = strchr(name, '.');
    if (dot != NULL) look_up(names, dot, name, true, &choice);
    found = best(&choice, takes_rsa, takes_ecdsa);
    if (found != NULL) return found;
  }
  if (names->strict) return NULL;
  struct choice choice = {0};
  for (size_t i = 0; i < names->defaults_count; i++) offer(&choice, names->defaults[i]);
  struct context *found = best(&choice, takes_rsa, takes_ecdsa);
  return found != NULL ? found : names_first(names);
}
