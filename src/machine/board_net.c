/* machine/board_net.c: what the network card is plugged into. */
#include "base/status.h"
#include "machine/machine_int.h"

bool machine_has_net(void)
{
    return net_has_user();
}

cosm_status machine_check_publish(const char *text, struct cosm_error *err)
{
    struct net_forward forward;

    return net_forward_parse(text, &forward, err);
}

static cosm_status check_none(const struct machine_config *config, struct cosm_error *err)
{
    if (config->publish_count > 0)
        return cosm_fail(err, COSM_BAD_ARG,
                         "publish '%s': the guest has no network: want one (--net user)",
                         config->publishes[0]);
    if (config->pcap)
        return cosm_fail(err, COSM_BAD_ARG,
                         "pcap %s: the guest has no network to record: want one (--net user)",
                         config->pcap);
    return COSM_OK;
}

static cosm_status parse_publishes(const struct machine_config *config,
                                   struct net_forward *forwards, struct cosm_error *err)
{
    cosm_status status = COSM_OK;

    if (config->publish_count > MACHINE_PUBLISHES_MAX)
        return cosm_fail(err, COSM_BAD_ARG, "publish: %u ports: at most %d", config->publish_count,
                         MACHINE_PUBLISHES_MAX);
    for (unsigned n = 0; n < config->publish_count && status == COSM_OK; n++)
        status = net_forward_parse(config->publishes[n], &forwards[n], err);
    return status;
}

_Static_assert(MACHINE_PUBLISHES_MAX <= NET_FORWARDS_MAX, "each has its place");

cosm_status board_open_net(struct machine *machine, const struct machine_config *config,
                           struct cosm_error *err)
{
    struct net_forward forwards[MACHINE_PUBLISHES_MAX];
    struct net_user_options options = {.can_reach_host = config->net == MACHINE_NET_USER_HOST,
                                       .forwards = forwards,
                                       .forward_count = config->publish_count};
    cosm_status status;

    if (config->net == MACHINE_NET_NONE)
        return check_none(config, err);
    if (config->clock == MACHINE_CLOCK_INSN)
        return cosm_fail(err, COSM_BAD_ARG,
                         "a network with --clock insn: what comes from outside is not the same in "
                         "every run: want --net none, or --clock host");
    status = parse_publishes(config, forwards, err);
    if (status == COSM_OK)
        status = net_open_user(&machine->net, machine->host, &options, err);
    if (status == COSM_OK && config->pcap)
        status = net_record(machine->net, config->pcap, err);
    return status;
}
