package dockerfile

import (
	"github.com/hardstand/hardstand/audit"
)

var rule11w = rule{audit.Rule{
	ID: "CHG-1.1w", Title: "No tools that mean nothing in a build", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3001"},
	Why:      "service, shutdown, mount, top or ssh in a RUN do nothing that lasts, and show that something else was meant.",
	Fix:      "Remove the command; start services with CMD, and fetch with RUN --mount=type=ssh where a key is needed.",
	Evidence: "line and command",
}, func(c *check) {
	c.held = "no such tool"
	c.each(func(in *instr) {
		for _, call := range c.calls(in) {
			switch call.name {
			case "service", "systemctl", "shutdown", "reboot", "mount", "umount", "top", "free", "vim", "vi", "nano", "emacs", "ps", "kill", "killall", "ifconfig":
				if call.name == "systemctl" && call.has("enable", "mask", "disable") {
					continue
				}
				c.warn(spot{in: in, observed: call.name + " in a RUN", expected: "nothing that needs a running system"})
				return
			}
		}
	})
}}
