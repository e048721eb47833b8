package sign

import (
	"os/exec"
	"strings"
	"testing"
)

// tooHeavy lists packages that would be linked into every hardstand: measured,
// each adds between 5 and 45 MB and milliseconds to every start.
var tooHeavy = []string{
	"github.com/sigstore/cosign/v2/pkg/signature",
	"github.com/sigstore/cosign/v2/pkg/policy",
	"github.com/sigstore/cosign/v2/pkg/providers/all",
	"github.com/sigstore/cosign/v2/cmd",
	"github.com/sigstore/sigstore/pkg/signature/kms/aws",
	"github.com/sigstore/sigstore/pkg/signature/kms/azure",
	"github.com/sigstore/sigstore/pkg/signature/kms/gcp",
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault",
	"github.com/aws", "github.com/Azure/azure-sdk-for-go", "cloud.google.com",
	"k8s.io/client-go", "github.com/open-policy-agent", "cuelang.org",
	"github.com/hardstand/hardstand/build", "github.com/hardstand/hardstand/internal/cli",
}

func TestStaysLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("go list names %d packages only", len(deps))
	}
	for _, dep := range deps {
		for _, heavy := range tooHeavy {
			if dep == heavy || strings.HasPrefix(dep, heavy+"/") {
				t.Errorf("sign links %s", dep)
			}
		}
	}
}
