package dockerfile

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11c = rule{audit.Rule{
	ID: "CHG-1.1c", Title: "Stage names are unique and not reserved", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DuplicateStageName", "ReservedStageName", "DL3024"},
	Why:      "A second stage of the same name hides the first, so COPY --from takes files from the wrong one.",
	Fix:      "Give every stage a name of its own, and call none of them scratch or context.",
	Evidence: "line and name",
}, func(c *check) {
	seen := map[string]int{}
	for _, s := range c.stages {
		name := strings.ToLower(s.name)
		if name == "" {
			continue
		}
		if first, ok := seen[name]; ok {
			c.fail(spot{in: s.from, alias: "DuplicateStageName", observed: fmt.Sprintf("a second stage called %s; the first is on line %d", s.name, first), expected: "a name of its own"})
		} else {
			seen[name] = s.from.start
		}
		if name == "scratch" || name == "context" {
			c.fail(spot{in: s.from, alias: "ReservedStageName", observed: "a stage called " + s.name, expected: "a name that means nothing else"})
		}
	}
	c.held = fmt.Sprintf("%d stage names", len(seen))
}}
