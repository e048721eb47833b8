package dockerfile

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11m = rule{audit.Rule{
	ID: "CHG-1.1m", Title: "EXPOSE names ports of the container", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"ExposeProtoCasing", "ExposeInvalidFormat", "DL3011", "DS-0004", "DS-0008"},
	Why:      "EXPOSE publishes nothing: host ports and addresses in it mislead, and remote login has no place in an image.",
	Fix:      "Write EXPOSE 8080 or EXPOSE 8080/udp.",
	Evidence: "line and port",
}, func(c *check) {
	c.held = "every port is a number up to 65535 with tcp, udp or sctp"
	c.each(func(in *instr) {
		cmd, ok := in.cmd.(*instructions.ExposeCommand)
		if !ok {
			return
		}
		for _, port := range cmd.Ports {
			if strings.Contains(port, "$") {
				continue
			}
			c.exposed(in, port)
		}
	})
}}

func (c *check) exposed(in *instr, port string) {
	number, proto, _ := strings.Cut(port, "/")
	if strings.Contains(number, ":") {
		c.warn(spot{in: in, alias: "ExposeInvalidFormat", observed: "EXPOSE " + port, expected: "a port of the container alone"})
		return
	}
	if proto != strings.ToLower(proto) {
		c.warn(spot{in: in, alias: "ExposeProtoCasing", observed: "EXPOSE " + port, expected: "EXPOSE " + strings.ToLower(port)})
	}
	from, to, _ := strings.Cut(number, "-")
	for _, n := range []string{from, to} {
		if v, err := strconv.Atoi(n); n != "" && (err != nil || v < 1 || v > 65535) {
			c.fail(spot{in: in, alias: "DL3011", observed: "EXPOSE " + port, expected: "a port from 1 to 65535"})
			return
		}
	}
	if number == "22" && !strings.EqualFold(proto, "udp") {
		c.fail(spot{in: in, alias: "DS-0004", severity: audit.Medium, observed: "EXPOSE 22", expected: "no remote login: use docker exec or ephemeral containers"})
	}
}
