package image

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule21i = rule{audit.Rule{
	ID: "CHG-2.1i", Title: "No layer was made by ADD", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0009"},
	Why:      "ADD also downloads and unpacks, so its layer holds what another server answered at that moment.",
	Fix:      "Write COPY for files of the context, and ADD --checksum=sha256:… for downloads.",
	Evidence: "the entry of the image's history",
}, func(c *check) {
	c.method = "history of the configuration"
	if len(c.config.History) == 0 {
		c.unknown("a configuration with history, or the Dockerfile")
		return
	}
	first, broken := true, false
	for i, h := range c.config.History {
		by := strings.TrimSpace(strings.TrimPrefix(h.CreatedBy, "/bin/sh -c #(nop)"))
		isBase := first && !h.EmptyLayer // a root file system is imported with ADD
		first = first && h.EmptyLayer
		if !strings.HasPrefix(by, "ADD ") || isBase || h.EmptyLayer || strings.Contains(by, "--checksum=") {
			continue
		}
		broken = true
		c.add(audit.Finding{Verdict: audit.Fail, Locator: c.history(i), Observed: redact(by), Expected: "COPY, or ADD with a checksum"})
	}
	if !broken {
		c.pass("%d entries of history without ADD", len(c.config.History))
	}
}}
