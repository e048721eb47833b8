package dockerfile

import (
	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11e = rule{audit.Rule{
	ID: "CHG-1.1e", Title: "ENV and LABEL write key=value", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"LegacyKeyValueFormat"},
	Why:      "In the form with a space everything after the key is the value, also a second key=value.",
	Fix:      "Write ENV KEY=value.",
	Evidence: "line and key",
}, func(c *check) {
	c.held = "every key is followed by ="
	c.each(func(in *instr) {
		var pairs instructions.KeyValuePairs
		switch cmd := in.cmd.(type) {
		case *instructions.EnvCommand:
			pairs = cmd.Env
		case *instructions.LabelCommand:
			pairs = cmd.Labels
		}
		for _, kv := range pairs {
			if kv.NoDelim {
				c.warn(spot{in: in, observed: in.name + " " + kv.Key + " followed by a space", expected: in.name + " " + kv.Key + "=value"})
				return
			}
		}
	})
}}
