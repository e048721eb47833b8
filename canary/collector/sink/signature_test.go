package sink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// TestWebhookSignature checks as a receiver does, per standardwebhooks.com.
func TestWebhookSignature(t *testing.T) {
	address, got := stub(t, status(204, ""))
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, "- {type: webhook, url: {file: "+file+"}, keys: [{env: OLDKEY}, {env: HOOKKEY}]}", "", options())
	if err := s.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	r := got()
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookKey, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + r.body))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	signatures := strings.Fields(r.Header.Get("webhook-signature"))
	if len(signatures) != 2 || signatures[1] != want || signatures[0] == want {
		t.Errorf("signatures %v, want the second to be %s", signatures, want)
	}
}

// TestAWSSignature computes Signature Version 4 from its description
// (docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html).
func TestAWSSignature(t *testing.T) {
	address, got := stub(t, status(200, "<PublishResponse/>"))
	s := open(t, "- {type: sns, url: URL, region: eu-central-1, topic-arn: 'arn:aws:sns:x', access-key-id: {env: AWSID}, secret-access-key: {env: KEY}, session-token: {env: KEY}}", address, options())
	if err := s.Send(context.Background(), message()); err != nil {
		t.Fatal(err)
	}
	r := got()
	parts := regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261122/eu-central-1/sns/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`).FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		t.Fatalf("Authorization: %s", r.Header.Get("Authorization"))
	}
	names := strings.Split(parts[1], ";")
	if !sort.StringsAreSorted(names) || !strings.Contains(parts[1], "host") || !strings.Contains(parts[1], "x-amz-security-token") {
		t.Errorf("signed headers %v", names)
	}
	canonical := "POST\n/\n\n"
	for _, n := range names {
		value := r.Header.Get(n)
		if n == "host" {
			value = r.Host
		}
		if n == "content-length" {
			value = r.Header.Get("Content-Length")
		}
		canonical += n + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + parts[1] + "\n" + sum(r.body)
	text := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n20261122/eu-central-1/sns/aws4_request\n" + sum(canonical)
	key := []byte("AWS4s3cret-key")
	for _, step := range []string{"20261122", "eu-central-1", "sns", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	if have := hex.EncodeToString(key); have != parts[2] {
		t.Errorf("signature %s, want %s; %s", parts[2], have, canonical)
	}
	if r.Method != http.MethodPost {
		t.Error(r.Method)
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
