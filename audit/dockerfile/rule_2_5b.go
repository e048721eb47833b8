package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule25b = rule{audit.Rule{
	ID: "CHG-2.5b", Title: "The HEALTHCHECK runs a probe, not a shell or a download tool", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "curl, wget and shells that are there for the health check are there for intruders too.",
	Fix:      `Use a small static checker in exec form: HEALTHCHECK CMD ["/bin/probe", "http://127.0.0.1:8080/healthz"].`,
	Evidence: "line and the program that is run",
}, func(c *check) {
	in := c.lastOf("HEALTHCHECK")
	if in == nil {
		c.notApplicable("there is no HEALTHCHECK; see CHG-2.5a")
		return
	}
	h := in.cmd.(*instructions.HealthCheckCommand)
	if h.Health == nil || len(h.Health.Test) < 2 {
		c.notApplicable("the HEALTHCHECK runs nothing")
		return
	}
	test := h.Health.Test
	if test[0] == "CMD-SHELL" {
		c.fail(spot{in: in, observed: "HEALTHCHECK in shell form: " + redact(firstWords(test[1])), expected: "exec form without a shell"})
		return
	}
	probe := call{name: program(test[1]), args: test[2:]}
	for range maxNesting {
		inner, ok := unwrap(probe)
		if !ok {
			break
		}
		probe = inner
	}
	name := probe.name
	if unwelcome(name) {
		c.fail(spot{in: in, observed: "HEALTHCHECK runs " + name, expected: "a probe that can do nothing else"})
		return
	}
	c.held = "HEALTHCHECK runs " + name
}}

// unwelcome reports whether a program serves an intruder.
func unwelcome(name string) bool {
	switch name {
	case "curl", "wget", "nc", "ncat", "netcat", "socat", "busybox", "telnet":
		return true
	}
	return isShell(name) || isInterpreter(name)
}

func firstWords(text string) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(3, len(words))], " ")
}
