package sink

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// cloud signs requests with keys that are read at each use, so that whatever
// renews them only has to replace the files.
type cloud struct {
	Region string `yaml:"region"`
	URL    string `yaml:"url"` // another endpoint, such as a VPC's
	KeyID  Secret `yaml:"access-key-id"`
	Key    Secret `yaml:"secret-access-key"`
	Token  Secret `yaml:"session-token"`
}

var plainRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)

// endpoint checks the settings and returns the service's address.
func (c cloud) endpoint(b base, service string) (string, error) {
	if !plainRegion.MatchString(c.Region) {
		return "", fmt.Errorf("region %q is no region such as eu-central-1", c.Region)
	}
	if err := errors.Join(b.need("access-key-id", c.KeyID), b.need("secret-access-key", c.Key)); err != nil {
		return "", err
	}
	domain := ".amazonaws.com"
	if strings.HasPrefix(c.Region, "cn-") {
		domain = ".amazonaws.com.cn"
	}
	return address(cmp.Or(c.URL, "https://"+service+"."+c.Region+domain+"/"))
}

func (c cloud) sign(b base, service string) func(*http.Request, []byte) error {
	return func(req *http.Request, body []byte) error {
		var keys aws.Credentials
		var err error
		if keys.AccessKeyID, err = b.Secret(c.KeyID); err != nil {
			return err
		}
		if keys.SecretAccessKey, err = b.Secret(c.Key); err != nil {
			return err
		}
		if !c.Token.IsZero() {
			if keys.SessionToken, err = b.Secret(c.Token); err != nil {
				return err
			}
		}
		sum := sha256.Sum256(body)
		return v4.NewSigner().SignHTTP(req.Context(), keys, req, hex.EncodeToString(sum[:]), service, c.Region, b.Now())
	}
}

type sns struct {
	base
	cloud cloud
	url   string
	topic string
}

// openSNS publishes to a topic (docs.aws.amazon.com/sns/latest/api/API_Publish.html).
func openSNS(b base) (Sink, error) {
	var s struct {
		cloud `yaml:",inline"`
		Topic string `yaml:"topic-arn"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(s.Topic, "arn:") {
		return nil, fmt.Errorf("topic-arn %q is not of the form arn:aws:sns:REGION:ACCOUNT:NAME", s.Topic)
	}
	u, err := s.cloud.endpoint(b, "sns")
	return &sns{b, s.cloud, u, s.Topic}, err
}

// Send publishes the message as JSON. A topic that keeps order also gets the
// identity to drop repeats by.
func (s *sns) Send(ctx context.Context, m store.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return final("encode message: %w", err)
	}
	form := url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {s.topic},
		"Message": {string(body)}, "Subject": {subject(headline(m))},
	}
	for i, a := range []field{{"severity", m.Incident.Severity.String()}, {"kind", string(m.Incident.Kind)}, {"reason", string(m.Reason)}, {"dedup_key", m.Incident.DedupKey}} {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", i+1)
		form.Set(entry+"Name", a.name)
		form.Set(entry+"Value.DataType", "String")
		form.Set(entry+"Value.StringValue", cmp.Or(a.value, "-"))
	}
	if strings.HasSuffix(s.topic, ".fifo") {
		form.Set("MessageGroupId", token("group", m.Incident.DedupKey))
		form.Set("MessageDeduplicationId", token("message", m.ID))
	}
	_, err = s.web.do(ctx, request{URL: s.url, Body: []byte(form.Encode()), Sign: s.cloud.sign(s.base, "sns"),
		Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}})
	return err
}

// subject is what SNS allows there: less than 100 characters of ASCII.
func subject(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text), 96)
}

type securityHub struct {
	base
	cloud   cloud
	url     string
	account string
	product string
}

var plainAccount = regexp.MustCompile(`^[0-9]{12}$`)

// openSecurityHub imports findings in the AWS Security Finding Format
// (docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html).
func openSecurityHub(b base) (Sink, error) {
	var s struct {
		cloud   `yaml:",inline"`
		Account string `yaml:"account"`
		Product string `yaml:"product-arn"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	if !plainAccount.MatchString(s.Account) {
		return nil, fmt.Errorf("account %q is not twelve digits", s.Account)
	}
	u, err := s.cloud.endpoint(b, "securityhub")
	if err != nil {
		return nil, err
	}
	partition := "aws"
	if strings.HasPrefix(s.Region, "cn-") {
		partition = "aws-cn"
	} else if strings.HasPrefix(s.Region, "us-gov-") {
		partition = "aws-us-gov"
	}
	product := cmp.Or(s.Product, fmt.Sprintf("arn:%s:securityhub:%s:%s:product/%s/default", partition, s.Region, s.Account, s.Account))
	return &securityHub{b, s.cloud, strings.TrimSuffix(u, "/") + "/findings/import", s.Account, product}, nil
}

// Send creates or updates the incident's finding: Id and ProductArn identify it.
func (s *securityHub) Send(ctx context.Context, m store.Message) error {
	r, err := jsonRequest(s.url, nil, object{"Findings": []object{s.finding(m)}})
	if err != nil {
		return err
	}
	r.Sign = s.cloud.sign(s.base, "securityhub")
	answer, err := s.web.do(ctx, r)
	if err != nil {
		return err
	}
	var result struct {
		FailedCount    int
		FailedFindings []struct{ ErrorCode, ErrorMessage string }
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return fmt.Errorf("read answer of Security Hub: %w", err)
	}
	if result.FailedCount > 0 && len(result.FailedFindings) > 0 {
		f := result.FailedFindings[0]
		return &Error{Final: f.ErrorCode != "InternalException" && f.ErrorCode != "LimitExceeded",
			Err: fmt.Errorf("import finding: %s: %s", printable(f.ErrorCode), cut(printable(f.ErrorMessage), maxExcerpt))}
	}
	return nil
}

func (s *securityHub) finding(m store.Message) object {
	i := m.Incident
	created, updated := i.First, i.Last
	if created.IsZero() {
		created = s.Now()
	}
	if updated.IsZero() {
		updated = created
	}
	state := "ACTIVE"
	if m.Reason == store.ReasonResolved {
		state = "ARCHIVED"
	}
	details := about(m)
	f := object{
		"SchemaVersion": "2018-10-08", "Id": "hardstand/" + token5424(i.DedupKey, 400), "ProductArn": s.product,
		"GeneratorId": "hardstand-canary-" + string(i.Kind), "AwsAccountId": s.account,
		"Types":     []string{"TTPs/Discovery", "Unusual Behaviors/Container"},
		"CreatedAt": stamp(created), "UpdatedAt": stamp(updated), "FirstObservedAt": stamp(created), "LastObservedAt": stamp(updated),
		"Severity": object{"Label": asffSeverity(i.Severity)},
		"Title":    cut(headline(m), 256), "Description": cut(plain(m), 1024),
		"ProductFields": prefixed("hardstand/", details), "RecordState": state,
		"Resources": []object{resource(i)},
	}
	if m.Link != "" {
		f["SourceUrl"] = m.Link
	}
	return f
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func prefixed(prefix string, values map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range values {
		out[prefix+k] = v
	}
	return out
}

func resource(i store.Incident) object {
	if i.Container == "" {
		return object{"Type": "Other", "Id": cut(cmp.Or(printable(i.Image), i.Build, i.Decoy, "collector"), 512)}
	}
	return object{"Type": "Container", "Id": cut(printable(i.Container), 512), "Details": object{
		"Container": object{"ImageName": printable(cmp.Or(i.Image, i.Build)), "ImageId": printable(cmp.Or(i.Digest, i.Build))},
	}}
}

func asffSeverity(s store.Severity) string {
	switch s {
	case store.Critical:
		return "CRITICAL"
	case store.High:
		return "HIGH"
	case store.Medium:
		return "MEDIUM"
	case store.Low:
		return "LOW"
	}
	return "INFORMATIONAL"
}
