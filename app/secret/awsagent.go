package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// AWSAgentOptions are the settings of AWSAgent and AWSAgentParameter.
type AWSAgentOptions struct {
	Address string // empty: http://localhost:2773
	// Token proves to the agent that a request was not forged through this
	// program. Nil: the file /var/run/awssmatoken of the agent, or in AWS Lambda
	// the environment's AWS_SESSION_TOKEN.
	Token Source
	// Field is the key of a secret that is a JSON object; empty: the whole.
	Field string
	// Transport is what requests are sent with; nil: http.DefaultTransport
	// without proxies.
	Transport http.RoundTripper
}

// AWSAgent reads a secret of AWS Secrets Manager through the AWS Secrets Manager
// Agent, a sidecar on ECS, EKS and EC2, or through the AWS Parameters and Secrets
// extension in Lambda. This program then needs neither credentials nor an SDK.
// The module secretaws asks AWS itself.
func AWSAgent(id string, o AWSAgentOptions) Source {
	return &awsAgent{what: "secret", id: id, o: o}
}

// AWSAgentParameter reads a parameter of AWS Systems Manager Parameter Store,
// decrypted, through the extension in Lambda.
func AWSAgentParameter(name string, o AWSAgentOptions) Source {
	return &awsAgent{what: "parameter", id: name, o: o}
}

type awsAgent struct {
	what, id string
	o        AWSAgentOptions
}

func (a *awsAgent) String() string { return "AWS agent " + a.what + " " + a.id }

func (a *awsAgent) Get(ctx context.Context) ([]byte, error) {
	if a.id == "" {
		return nil, errors.New("the name is empty")
	}
	req, err := a.request(ctx)
	if err != nil {
		return nil, err
	}
	var answer struct {
		SecretString *string
		SecretBinary []byte
		Parameter    struct{ Value *string }
	}
	rt := a.o.Transport
	if rt == nil {
		rt = direct
	}
	if err := exchange(ctx, rt, req, &answer); err != nil {
		return nil, err
	}
	b := answer.SecretBinary
	switch {
	case a.what == "parameter" && answer.Parameter.Value != nil:
		b = []byte(*answer.Parameter.Value)
	case a.what == "secret" && answer.SecretString != nil:
		b = []byte(*answer.SecretString)
	}
	return field(b, a.o.Field)
}

// direct keeps requests to this machine away from proxies of the environment.
var direct = func() http.RoundTripper {
	t := &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 1}
	return t
}()

func (a *awsAgent) request(ctx context.Context) (*http.Request, error) {
	address := a.o.Address
	if address == "" {
		address = "http://localhost:2773"
	}
	base, err := checkBase(address)
	if err != nil {
		return nil, err
	}
	token, err := a.token(ctx)
	if err != nil {
		return nil, err
	}
	path, query := "/secretsmanager/get", url.Values{"secretId": {a.id}}
	if a.what == "parameter" {
		path, query = "/systemsmanager/parameters/get", url.Values{"name": {a.id}, "withDecryption": {"true"}}
	}
	target := base.Scheme + "://" + base.Host + strings.TrimSuffix(base.EscapedPath(), "/") + path + "?" + query.Encode()
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Aws-Parameters-Secrets-Token", token)
	return req, nil
}

func (a *awsAgent) token(ctx context.Context) (string, error) {
	if a.o.Token != nil {
		return text(ctx, "agent token", a.o.Token)
	}
	own := File("/var/run/awssmatoken", FileOptions{WorldReadable: true})
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		own = Env("AWS_SESSION_TOKEN") // elsewhere it is no business of the agent's
	}
	return text(ctx, "agent token", own)
}

// Field returns a source of one key of the JSON object that s holds, as secrets
// of several parts are often kept: a string's text, else its JSON.
func Field(s Source, key string) Source { return jsonField{s, key} }

type jsonField struct {
	Source
	key string
}

func (f jsonField) String() string { return f.Source.String() + " field " + f.key }

func (f jsonField) Get(ctx context.Context) ([]byte, error) {
	b, err := f.Source.Get(ctx)
	if err != nil {
		return nil, err
	}
	return field(b, f.key)
}

func field(b []byte, key string) ([]byte, error) {
	if key == "" {
		return clean(b, true)
	}
	defer clear(b)
	var data map[string]json.RawMessage
	if json.Unmarshal(b, &data) != nil { // its error may quote the secret
		return nil, fmt.Errorf("not a JSON object: it has no field %s", key)
	}
	return pick(data, key)
}
