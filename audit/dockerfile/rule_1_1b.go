package dockerfile

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11b = rule{audit.Rule{
	ID: "CHG-1.1b", Title: "Instructions and stage names are written in one case", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"ConsistentInstructionCasing", "StageNameCasing", "FromAsCasing"},
	Why:      "A file in one style is read, searched and reviewed without mistakes; BuildKit warns about the same.",
	Fix:      "Write all instructions in upper case, AS like FROM, and stage names in lower case: FROM golang AS build.",
	Evidence: "line and the word in the other case",
}, func(c *check) {
	c.held = fmt.Sprintf("%d instructions in one case", len(c.all))
	upper, lower := 0, 0
	for _, in := range c.all {
		switch in.node.Value {
		case strings.ToUpper(in.node.Value):
			upper++
		case strings.ToLower(in.node.Value):
			lower++
		}
	}
	for _, in := range c.all {
		want := strings.ToUpper(in.node.Value)
		if lower > upper {
			want = strings.ToLower(in.node.Value)
		}
		if in.node.Value != want && !in.onbuild {
			c.warn(spot{in: in, alias: "ConsistentInstructionCasing", observed: in.node.Value, expected: want})
		}
	}
	for _, s := range c.stages {
		if s.name == "" {
			continue
		}
		words := strings.Fields(s.from.node.Original)
		for i, word := range words {
			if !strings.EqualFold(word, "as") || i+1 >= len(words) {
				continue
			}
			if words[i+1] != strings.ToLower(words[i+1]) {
				c.warn(spot{in: s.from, alias: "StageNameCasing", observed: "stage name " + words[i+1], expected: strings.ToLower(words[i+1])})
			}
			if upper := s.from.node.Value == "FROM"; upper != (word == "AS") && (upper || s.from.node.Value == "from") {
				want := map[bool]string{true: "AS", false: "as"}[upper]
				c.warn(spot{in: s.from, alias: "FromAsCasing", observed: word, expected: want})
			}
		}
	}
}}
