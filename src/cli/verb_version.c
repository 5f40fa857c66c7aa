#include "cli/command.h"
#include "cli/json.h"

static void print_json(const struct cosm_feature *features, size_t count)
{
    struct json json = {.to = stdout};

    json_object(&json, NULL);
    json_text(&json, "version", cosm_version());
    json_text(&json, "build", cosm_build());
    json_object(&json, "features");
    for (size_t n = 0; n < count; n++)
        json_bool(&json, features[n].name, features[n].is_present);
    json_end(&json, '}');
    json_end(&json, '}');
}

int verb_version(const struct options *given)
{
    size_t count;
    const struct cosm_feature *features = cosm_features(&count);

    if (options_have(given, OPTION_version_json)) {
        print_json(features, count);
        return 0;
    }
    printf("cosm %s\n%s\nfeatures:", cosm_version(), cosm_build());
    for (size_t n = 0; n < count; n++)
        printf(" %c%s", features[n].is_present ? '+' : '-', features[n].name);
    printf("\n");
    return 0;
}
