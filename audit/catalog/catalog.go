// Package catalog knows every rule of every auditor. It is what reports and
// the generated documentation look rules up in; it judges nothing.
package catalog

import (
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/dockerfile"
	"github.com/hardstand/hardstand/audit/image"
	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/workflow"
	"github.com/hardstand/hardstand/audit/workload"
)

// Rules returns all rules in order of their ids.
func Rules() []audit.Rule {
	all := slices.Concat(dockerfile.Rules(), image.Rules(), workflow.Rules(), workload.Rules(), scan.Rules())
	slices.SortFunc(all, func(a, b audit.Rule) int { return strings.Compare(a.ID, b.ID) })
	return all
}
