package secretaws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/hardstand/hardstand/app/secret"
	"github.com/hardstand/hardstand/app/secretaws"
)

const hidden = "correct-horse-battery"

// service answers as AWS's JSON 1.1 protocol does, so that the SDK itself is
// under test.
func service(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			t.Errorf("request is not signed: %v", r.Header)
		}
		var in struct {
			SecretId, VersionStage, Name string
			WithDecryption               bool
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		fail := func(code int, kind string) {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"__type":%q,"Message":"nothing to see"}`, kind)
		}
		switch r.Header.Get("X-Amz-Target") + " " + in.SecretId + in.Name + in.VersionStage {
		case "secretsmanager.GetSecretValue db":
			fmt.Fprintf(w, `{"Name":"db","SecretString":%q}`, `{"password":"`+hidden+`"}`)
		case "secretsmanager.GetSecretValue dbAWSPENDING":
			fmt.Fprint(w, `{"SecretString":"next"}`)
		case "secretsmanager.GetSecretValue bin":
			fmt.Fprint(w, `{"SecretBinary":"AAEC"}`)
		case "secretsmanager.GetSecretValue denied":
			fail(http.StatusBadRequest, "AccessDeniedException")
		case "AmazonSSM.GetParameter /app/key":
			if !in.WithDecryption {
				t.Error("decryption was not asked for")
			}
			fmt.Fprintf(w, `{"Parameter":{"Name":"/app/key","Type":"SecureString","Value":%q}}`, hidden)
		case "AmazonSSM.GetParameter /app/plain":
			fmt.Fprintf(w, `{"Parameter":{"Name":"/app/plain","Type":"String","Value":%q}}`, hidden)
		case "AmazonSSM.GetParameter none":
			fail(http.StatusBadRequest, "ParameterNotFound")
		default:
			fail(http.StatusBadRequest, "ResourceNotFoundException")
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestSources(t *testing.T) {
	config := aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(service(t)), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	}
	sm, params := secretsmanager.NewFromConfig(config), ssm.NewFromConfig(config)
	for _, c := range []struct {
		name      string
		source    secret.Source
		want, err string
		absent    bool
	}{
		{"field", secret.Field(secretaws.SecretsManager(sm, "db", secretaws.SecretsManagerOptions{}), "password"), hidden, "", false},
		{"stage", secretaws.SecretsManager(sm, "db", secretaws.SecretsManagerOptions{VersionStage: "AWSPENDING"}), "next", "", false},
		{"binary", secretaws.SecretsManager(sm, "bin", secretaws.SecretsManagerOptions{}), "\x00\x01\x02", "", false},
		{"absent", secretaws.SecretsManager(sm, "none", secretaws.SecretsManagerOptions{}), "", "not found", true},
		{"denied", secretaws.SecretsManager(sm, "denied", secretaws.SecretsManagerOptions{}), "", "AccessDenied", false},
		{"parameter", secretaws.Parameter(params, "/app/key"), hidden, "", false},
		{"parameter-in-the-clear", secretaws.Parameter(params, "/app/plain"), "", "SecureString", false},
		{"parameter-absent", secretaws.Parameter(params, "none"), "", "not found", true},
	} {
		v, err := secret.Read(t.Context(), "x", c.source)
		if v.Reveal() != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, v.Reveal(), err, c.want, c.err)
		}
		if errors.Is(err, secret.ErrNotFound) != c.absent {
			t.Errorf("%s: ErrNotFound: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: the error shows the secret: %v", c.name, err)
		}
	}
}
