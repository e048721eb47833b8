package workload

import (
	"github.com/hardstand/hardstand/audit"
	"strings"
)

var rule33r = rule{Rule: audit.Rule{
	ID: "CHG-3.3r", Title: "No container is privileged or is given capabilities back", Severity: audit.Critical, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0017", "KSV-0022", "KSV-0005"},
	Why:      "A privileged container is the host's root; most capabilities lead there.",
	Fix:      "Remove privileged and add; NET_BIND_SERVICE alone is accepted, a port above 1024 needs nothing.",
	Evidence: "the setting and the capabilities",
}, each: func(c *check, k *container) {
	broken := false
	switch {
	case k.privileged.open():
		broken = true
		c.unknown(k, k.privileged.at, "the value of the variables in "+shorten(k.privileged.value))
	case k.privileged.value == "true":
		broken = true
		c.fail(k, k.privileged.at, "it is privileged", "an unprivileged container")
	}
	for _, a := range k.added {
		if name := strings.TrimPrefix(strings.ToUpper(a.value), "CAP_"); name != "NET_BIND_SERVICE" {
			broken = true
			c.fail(k, a.at, "it is given "+shorten(name), "no capability but NET_BIND_SERVICE")
		}
	}
	if !broken {
		c.pass(k, k.at, "unprivileged, nothing given back")
	}
}}
