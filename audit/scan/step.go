package scan

import "github.com/hardstand/hardstand/audit"

// Rules returns the rules of the guide's step 1.2.
func Rules() []audit.Rule { return []audit.Rule{ruleVulnerabilities, ruleUpdates} }

// AuditFindings says a report in the audit's terms. Without a database step
// 1.2 is unknown and says so; a report with a problem is never a pass.
func AuditFindings(r *Report, artifact audit.Artifact) []audit.Finding {
	list := append(vulnerabilities(r), pending(r)...)
	for i := range list {
		list[i].Artifact = artifact
	}
	return list
}
