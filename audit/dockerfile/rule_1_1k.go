package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11k = rule{audit.Rule{
	ID: "CHG-1.1k", Title: "FROM --platform is a variable that says something", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"FromPlatformFlagConstDisallowed", "RedundantTargetPlatform", "DL3029"},
	Why:      "A fixed platform builds the wrong image on every other one, and $TARGETPLATFORM is what FROM takes anyway.",
	Fix:      "Remove the flag, or write --platform=$BUILDPLATFORM for a stage that cross-compiles.",
	Evidence: "line and platform",
}, func(c *check) {
	c.held = "no fixed or redundant --platform"
	for _, s := range c.stages {
		if !s.reachable || s.platform == "" {
			continue
		}
		switch {
		case s.platform == "$TARGETPLATFORM" || s.platform == "${TARGETPLATFORM}":
			c.warn(spot{in: s.from, alias: "RedundantTargetPlatform", observed: "--platform=" + s.platform, expected: "no --platform: it is the default"})
		case !strings.Contains(s.platform, "$") && !strings.Contains(strings.ToLower(s.name), "arm") && !strings.Contains(strings.ToLower(s.name), "amd") && !strings.Contains(strings.ToLower(s.platform), "windows"):
			c.warn(spot{in: s.from, alias: "FromPlatformFlagConstDisallowed", observed: "--platform=" + s.platform, expected: "--platform=$BUILDPLATFORM or none"})
		}
	}
}}
