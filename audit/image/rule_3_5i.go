package image

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/credential"
)

var rule35i = rule{audit.Rule{
	ID: "CHG-3.5i", Title: "The image's environment holds no secret", Severity: audit.Critical, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0010", "SecretsUsedInArgOrEnv"},
	Why:      "The environment of an image is public to whoever can pull it, and every process of the container can read it.",
	Fix:      "Let the program fetch it: X_SOURCE=awssm://… or X_FILE=/run/secrets/x.",
	Evidence: "the variable's name; never its value",
}, func(c *check) {
	c.method = "environment of the configuration"
	broken := false
	for i, kv := range c.config.Config.Env {
		name, value, _ := strings.Cut(kv, "=")
		if kind := credential.Of(name, value); kind != "" {
			broken = true
			c.add(audit.Finding{Verdict: audit.Fail, Locator: configAt(fmt.Sprintf("/config/Env/%d", i)), Observed: shorten(name) + ": " + kind, Expected: "a reference to the secret"})
		}
	}
	if !broken {
		c.pass("%d variables without a secret", len(c.config.Config.Env))
	}
}}
