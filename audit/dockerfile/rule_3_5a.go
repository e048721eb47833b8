package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule35a = rule{audit.Rule{
	ID: "CHG-3.5a", Title: "No secret is an environment variable of the image", Severity: audit.Critical, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"SecretsUsedInArgOrEnv", "DL3064", "DS-0031", "CIS-DI-0010"},
	Why:      "An ENV is in the image, in docker inspect and in every process of the container.",
	Fix:      "Let the program fetch it by reference: ENV DB_PASSWORD_FILE=/run/secrets/db or DB_PASSWORD_SOURCE=vault://...",
	Evidence: "line and name; never the value",
}, func(c *check) {
	c.held = "no ENV has the name or the looks of a secret"
	c.method = "names by BuildKit's word list, values by the shapes of known tokens"
	c.each(func(in *instr) {
		cmd, ok := in.cmd.(*instructions.EnvCommand)
		if !ok {
			return
		}
		for _, kv := range cmd.Env {
			switch what := looksSecret(kv.Value); {
			case what != "":
				c.fail(spot{in: in, observed: "the value of " + kv.Key + " is " + what, expected: "a reference"})
			case secretName(kv.Key) && strings.HasPrefix(strings.Trim(kv.Value, `"`), "$"):
				c.fail(spot{in: in, severity: audit.High, observed: "ENV " + kv.Key + " from a build argument", expected: "a reference, such as " + kv.Key + "_FILE"})
			case secretName(kv.Key) && !harmlessValue(kv.Value):
				c.fail(spot{in: in, observed: "ENV " + kv.Key, expected: "a reference, such as " + kv.Key + "_FILE"})
			}
		}
	})
}}
