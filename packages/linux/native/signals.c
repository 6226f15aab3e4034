/*
 * Signals that Node cannot catch by name: the real-time ones, which keepalived uses for its JSON and statistics dumps.
 * libuv catches any number; this only opens the door to it. A watched signal does not keep the process alive.
 */
#include <node_api.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

/* As in uv.h, which the headers of Node-API do not bring. */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_signal_cb)(uv_handle_t *, int);
typedef void (*uv_close_cb)(uv_handle_t *);
enum { UV_SIGNAL = 16, MAX_SIGNAL = 64 };
size_t uv_handle_size(int type);
int uv_signal_init(uv_loop_t *, uv_handle_t *);
int uv_signal_start(uv_handle_t *, uv_signal_cb, int);
int uv_signal_stop(uv_handle_t *);
void uv_close(uv_handle_t *, uv_close_cb);
void uv_unref(uv_handle_t *);
void uv_handle_set_data(uv_handle_t *, void *);
void *uv_handle_get_data(const uv_handle_t *);

struct watched {
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  uv_handle_t *handle;
};
static struct watched *watched[MAX_SIGNAL + 1];

static void release(uv_handle_t *handle) {
  free(uv_handle_get_data(handle));
  free(handle);
}

static void stop(int number) {
  struct watched *watch = watched[number];
  if (watch == NULL) return;
  watched[number] = NULL;
  uv_signal_stop(watch->handle);
  napi_delete_reference(watch->env, watch->callback);
  napi_async_destroy(watch->env, watch->context);
  uv_close(watch->handle, release);
}

static void stop_all(void *unused) {
  (void)unused;
  for (int number = 1; number <= MAX_SIGNAL; number++) stop(number);
}

static void arrived(uv_handle_t *handle, int number) {
  struct watched *watch = uv_handle_get_data(handle);
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, argument;
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &receiver);
  napi_create_int32(env, number, &argument);
  napi_status status = napi_make_callback(env, watch->context, receiver, callback, 1, &argument, NULL);
  if (status == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/* watch(number, callback): 0, or a negative error number */
static napi_value door_watch(napi_env env, napi_callback_info info) {
  napi_value argument[2], name, result;
  size_t count = 2;
  int32_t number = 0;
  napi_valuetype type = napi_undefined;
  uv_loop_t *loop = NULL;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok || count != 2 ||
      napi_get_value_int32(env, argument[0], &number) != napi_ok || number < 1 || number > MAX_SIGNAL ||
      napi_typeof(env, argument[1], &type) != napi_ok || type != napi_function ||
      napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok) {
    napi_throw_type_error(env, NULL, "watch(number, callback) takes a signal number and a function");
    return NULL;
  }
  stop(number);
  struct watched *watch = calloc(1, sizeof *watch);
  uv_handle_t *handle = calloc(1, uv_handle_size(UV_SIGNAL));
  if (watch == NULL || handle == NULL) {
    free(watch);
    free(handle);
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  watch->env = env;
  watch->handle = handle;
  napi_create_reference(env, argument[1], 1, &watch->callback);
  napi_create_string_utf8(env, "signal", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &watch->context);
  int status = uv_signal_init(loop, handle);
  uv_handle_set_data(handle, watch);
  if (status == 0) {
    watched[number] = watch;
    uv_unref(handle);
    status = uv_signal_start(handle, arrived, number);
    if (status != 0) stop(number);
  } else {
    napi_delete_reference(env, watch->callback);
    napi_async_destroy(env, watch->context);
    free(watch);
    free(handle);
  }
  napi_create_int32(env, status, &result);
  return result;
}

/* unwatch(number) */
static napi_value door_unwatch(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  size_t count = 1;
  int32_t number = 0;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok ||
      napi_get_value_int32(env, argument[0], &number) != napi_ok || number < 1 || number > MAX_SIGNAL) {
    napi_throw_type_error(env, NULL, "unwatch(number) takes a signal number");
    return NULL;
  }
  stop(number);
  return NULL;
}

/* The first and last real-time signal that the C library leaves to programs. */
static napi_value door_range(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value pair, value;
  napi_create_array_with_length(env, 2, &pair);
  napi_create_int32(env, SIGRTMIN, &value);
  napi_set_element(env, pair, 0, value);
  napi_create_int32(env, SIGRTMAX, &value);
  napi_set_element(env, pair, 1, value);
  return pair;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback door;
  } doors[] = {{"watch", door_watch}, {"unwatch", door_unwatch}, {"range", door_range}};
  for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
    napi_value function;
    if (napi_create_function(env, doors[i].name, NAPI_AUTO_LENGTH, doors[i].door, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, doors[i].name, function) != napi_ok) {
      return NULL;
    }
  }
  napi_add_env_cleanup_hook(env, stop_all, NULL);
  return exports;
}
