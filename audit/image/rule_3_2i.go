package image

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule32i = rule{audit.Rule{
	ID: "CHG-3.2i", Title: "GuardDuty watches what containers do", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Export},
	Why:      "An intruder who made no mistake is seen by system calls only.",
	Fix:      "aws guardduty update-detector --features Name=RUNTIME_MONITORING,Status=ENABLED with ECS_FARGATE_AGENT_MANAGEMENT, EC2_AGENT_MANAGEMENT or EKS_ADDON_MANAGEMENT.",
	Evidence: "digest of the export and the features that are on",
}, func(c *check) {
	method := "features of aws guardduty get-detector"
	for _, x := range c.exports {
		if x.detector == nil {
			continue
		}
		monitoring, agents := false, []string{}
		for _, f := range x.detector.Features {
			if f.Name != "RUNTIME_MONITORING" || f.Status != "ENABLED" {
				continue
			}
			monitoring = true
			for _, a := range f.Additional {
				if a.Status == "ENABLED" {
					agents = append(agents, shorten(a.Name))
				}
			}
		}
		expected := "RUNTIME_MONITORING and the management of its agent ENABLED"
		switch {
		case x.detector.Status != "ENABLED":
			c.add(x.on(audit.Fail, method, "the detector is "+shorten(x.detector.Status), expected))
		case !monitoring:
			c.add(x.on(audit.Fail, method, "RUNTIME_MONITORING is not enabled", expected))
		case len(agents) == 0:
			c.add(x.on(audit.Warn, method, "no agent is managed: it must be installed otherwise", expected))
		default:
			c.add(x.on(audit.Pass, method, strings.Join(agents, ", "), expected))
		}
	}
}}
