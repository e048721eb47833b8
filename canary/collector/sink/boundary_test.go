package sink

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/collector/store": "the nouns",
		"github.com/hardstand/hardstand/canary/alert":           "what a decoy saw",
		"github.com/wneessen/go-mail/...":                       "e-mail",
		"golang.org/x/text/...":                                 "go-mail, names of character sets", "golang.org/x/crypto/md4": "go-mail, NTLM",
		"github.com/aws/aws-sdk-go-v2/...": "signing requests to SNS and Security Hub",
		"github.com/aws/smithy-go/...":     "of the above",
		"gopkg.in/yaml.v3":                 "the sinks' part of the configuration",
	})
}
