package workload

import (
	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/credential"
)

var rule35q = rule{Rule: audit.Rule{
	ID: "CHG-3.5q", Title: "No secret is written into the environment", Severity: audit.Critical, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0109", "AWS-0036", "SecretsUsedInArgOrEnv"},
	Why:      "What stands in a manifest stands in its repository and in the platform's API, and every process of the container can read it.",
	Fix:      "A reference that the program fetches: X_SOURCE=awssm://…, or a file: X_FILE=/run/secrets/x.",
	Evidence: "the variable's name; never its value",
}, each: func(c *check, k *container) {
	broken := false
	for _, v := range k.env {
		if v.reference != "" {
			continue
		}
		if kind := credential.Of(v.name, v.value); kind != "" {
			broken = true
			c.fail(k, v.at, shorten(v.name)+": "+kind, "a reference to the secret")
		}
	}
	if !broken {
		c.pass(k, k.at, "no secret among its variables")
	}
}}
