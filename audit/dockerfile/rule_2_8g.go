package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule28g = rule{audit.Rule{
	ID: "CHG-2.8g", Title: "No secret is a label", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "Labels are shown to everybody who can see the image's configuration.",
	Fix:      "Remove the label.",
	Evidence: "line and key; never the value",
}, func(c *check) {
	c.held = "no label looks like a secret"
	c.each(func(in *instr) {
		cmd, ok := in.cmd.(*instructions.LabelCommand)
		if !ok {
			return
		}
		for _, kv := range cmd.Labels {
			what := looksSecret(kv.Value)
			if what == "" && secretName(strings.ReplaceAll(kv.Key, ".", "_")) && !harmlessValue(kv.Value) {
				what = "a secret by its name"
			}
			if what != "" {
				c.fail(spot{in: in, observed: "label " + kv.Key + " is " + what, expected: "no secret in metadata"})
			}
		}
	})
}}
