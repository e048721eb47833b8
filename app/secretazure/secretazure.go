// Package secretazure reads secrets of Azure Key Vault, as sources of
// app/secret.
//
// It is a module of its own, so that app/secret does not require the SDK.
package secretazure

import (
	"context"
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/hardstand/hardstand/app/secret"
)

// Client is the part of *azsecrets.Client that is used.
type Client interface {
	GetSecret(ctx context.Context, name, version string, o *azsecrets.GetSecretOptions) (azsecrets.GetSecretResponse, error)
}

// Secret reads a secret of the client's vault; an empty version is the latest. A
// secret that is disabled is an error: Key Vault refuses to give it.
func Secret(client Client, name, version string) secret.Source {
	get := func(ctx context.Context) ([]byte, error) {
		if name == "" {
			return nil, errors.New("the name is empty")
		}
		res, err := client.GetSecret(ctx, name, version, nil)
		if err != nil {
			return nil, short(err)
		}
		if res.Value == nil {
			return nil, errors.New("no value in the answer")
		}
		return []byte(*res.Value), nil
	}
	return secret.Func("Azure Key Vault secret "+name, get)
}

// short keeps the code of a refusal: the SDK's text quotes the whole answer.
func short(err error) error {
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) {
		return err
	}
	if refused.StatusCode == http.StatusNotFound {
		return secret.ErrNotFound
	}
	return &Refused{Status: refused.StatusCode, Code: refused.ErrorCode}
}

// Refused is the answer of a Key Vault that does not give the secret.
type Refused struct {
	Status int    // HTTP status code
	Code   string // Key Vault's error code, such as Forbidden
}

func (e *Refused) Error() string {
	return "answered " + http.StatusText(e.Status) + " (" + e.Code + ")"
}
