package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule28d = rule{audit.Rule{
	ID: "CHG-2.8d", Title: "No secret is a build argument", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"SecretsUsedInArgOrEnv", "DL3064", "DS-0031", "CIS-DI-0010"},
	Why:      "The value of a build argument stays in the image's history, where docker history shows it to everybody who can pull.",
	Fix:      "RUN --mount=type=secret,id=token TOKEN=$(cat /run/secrets/token) command",
	Evidence: "line and name; never the value",
}, func(c *check) {
	c.held = "no ARG has the name or the looks of a secret"
	c.method = "names by BuildKit's word list, values by the shapes of known tokens"
	judge := func(in *instr) {
		cmd, ok := in.cmd.(*instructions.ArgCommand)
		if !ok {
			return
		}
		for _, a := range cmd.Args {
			value := ""
			if a.Value != nil {
				value = strings.Trim(*a.Value, `"'`)
			}
			if what := looksSecret(value); what != "" {
				c.fail(spot{in: in, severity: audit.Critical, observed: "the default of " + a.Key + " is " + what, expected: "no secret in the file"})
			} else if secretName(a.Key) && (a.Value == nil || value == "" || !harmlessValue(value)) {
				c.fail(spot{in: in, observed: "ARG " + a.Key, expected: "RUN --mount=type=secret"})
			}
		}
	}
	for _, in := range c.meta {
		judge(in)
	}
	c.each(judge)
}}
