package dockerfile

import (
	"fmt"

	"github.com/hardstand/hardstand/audit"
)

var rule28c = rule{audit.Rule{
	ID: "CHG-2.8c", Title: "Nothing runs in the last stage", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "RUN needs a shell in the image, and what it leaves behind is not named anywhere.",
	Fix:      "Run in a build stage, and COPY --from the result.",
	Evidence: "line of each RUN in the target stage",
}, func(c *check) {
	if c.target == nil {
		c.unknown("a stage to build", "")
		return
	}
	runs := 0
	for _, in := range c.target.instrs {
		if in.name == "RUN" && !in.onbuild {
			if runs++; runs == 1 {
				c.warn(spot{in: in, observed: "RUN in the last stage", expected: "only COPY and metadata"})
			}
		}
	}
	if runs > 1 {
		c.findings[0].Observed = fmt.Sprintf("%d RUN in the last stage, the first here", runs)
	}
	c.held = "the last stage has no RUN"
}}
