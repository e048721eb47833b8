package image

import (
	"slices"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/credential"
)

var rule28j = rule{audit.Rule{
	ID: "CHG-2.8j", Title: "The image's labels, command and build argument defaults hold no secret", Severity: audit.Critical, Since: 1,
	Kinds:    []audit.Kind{audit.Image},
	Why:      "The configuration is public to everybody who can pull the image.",
	Fix:      "Remove it from LABEL, CMD and ENTRYPOINT; let the program fetch it by reference.",
	Evidence: "the JSON pointer into the configuration",
}, func(c *check) {
	c.method = "labels, entrypoint and command of the configuration"
	broken := false
	found := func(pointer, observed string) {
		broken = true
		c.add(audit.Finding{Verdict: audit.Fail, Locator: configAt(pointer), Observed: observed, Expected: "no secret"})
	}
	for k, v := range c.config.Config.Labels {
		if kind := credential.Of(k, v); kind != "" {
			found("/config/Labels/"+escape(k), "label "+shorten(k)+": "+kind)
		}
	}
	for _, arg := range slices.Concat(c.config.Config.Entrypoint, c.config.Config.Cmd) {
		if kind := credential.Looks(arg); kind != "" {
			found("/config/Cmd", kind+" among the arguments")
		}
	}
	if !broken {
		c.pass("%d labels and the command without a secret", len(c.config.Config.Labels))
	}
}}
