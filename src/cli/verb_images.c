#include <inttypes.h>
#include <time.h>

#include "cli/command.h"
#include "cli/json.h"

static void add_json(void *ctx, const struct cosm_image *image)
{
    struct json *json = ctx;

    json_object(json, NULL);
    json_text(json, "name", image->name);
    json_text(json, "kernel", image->kernel);
    json_number(json, "bytes", image->bytes);
    json_number(json, "created_s", image->created_s);
    json_end(json, '}');
}

static void print_row(void *ctx, const struct cosm_image *image)
{
    unsigned *count = ctx;
    time_t created = (time_t)image->created_s;
    struct tm date;
    char day[16] = "?";

    if (gmtime_r(&created, &date))
        strftime(day, sizeof day, "%Y-%m-%d", &date);
    if ((*count)++ == 0)
        printf("%-24s %-24s %8s  %s\n", "NAME", "KERNEL", "SIZE", "CREATED");
    printf("%-24s %-24s %7" PRIu64 "M  %s\n", image->name, image->kernel,
           (image->bytes + (1 << 20) - 1) >> 20, day);
}

static cosm_status list_json(struct cosm_error *err)
{
    struct json json = {.to = stdout};
    cosm_status status;

    json_array(&json, NULL);
    status = cosm_image_list(add_json, &json, err);
    json_end(&json, ']');
    return status;
}

static cosm_status list_rows(struct cosm_error *err)
{
    unsigned count = 0;
    cosm_status status = cosm_image_list(print_row, &count, err);

    if (status == COSM_OK && count == 0)
        report("no images yet: fetch one with 'cosm pull debian'");
    return status;
}

int verb_images(const struct options *given)
{
    const char *removed = options_text(given, OPTION_images_remove);
    struct cosm_error err = {0};
    cosm_status status;

    if (removed)
        status = cosm_image_remove(removed, &err);
    else if (options_have(given, OPTION_images_json))
        status = list_json(&err);
    else
        status = list_rows(&err);
    if (status == COSM_OK)
        return 0;
    report("%s", err.text);
    return status == COSM_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_COSM;
}
