// Package secretaws reads secrets of AWS Secrets Manager and parameters of AWS
// Systems Manager Parameter Store, as sources of app/secret.
//
// It is a module of its own, so that app/secret does not require the SDK. A
// program that runs beside the Secrets Manager Agent, or in Lambda with the
// extension, needs neither: see secret.AWSAgent.
package secretaws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/hardstand/hardstand/app/secret"
)

// SecretsManagerClient is the part of *secretsmanager.Client that is used.
type SecretsManagerClient interface {
	GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, opts ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// SecretsManagerOptions are the settings of SecretsManager.
type SecretsManagerOptions struct {
	// VersionStage is the staging label wanted; empty: AWSCURRENT.
	VersionStage string
}

// SecretsManager reads the secret of that name or ARN. secret.Field picks a key
// of a secret that is a JSON object.
func SecretsManager(client SecretsManagerClient, id string, o SecretsManagerOptions) secret.Source {
	get := func(ctx context.Context) ([]byte, error) {
		in := &secretsmanager.GetSecretValueInput{SecretId: &id}
		if o.VersionStage != "" {
			in.VersionStage = &o.VersionStage
		}
		out, err := client.GetSecretValue(ctx, in)
		var absent *smtypes.ResourceNotFoundException
		switch {
		case errors.As(err, &absent):
			return nil, secret.ErrNotFound
		case err != nil:
			return nil, err
		case out.SecretString != nil:
			return []byte(*out.SecretString), nil
		}
		return out.SecretBinary, nil
	}
	return secret.Func("AWS Secrets Manager "+id, get)
}

// ParameterClient is the part of *ssm.Client that is used.
type ParameterClient interface {
	GetParameter(ctx context.Context, in *ssm.GetParameterInput, opts ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
}

// Parameter reads the parameter of that name or ARN, decrypted. A parameter that
// is not a SecureString is refused: it is stored in the clear, and whoever may
// list parameters may read it.
func Parameter(client ParameterClient, name string) secret.Source {
	decrypt := true
	get := func(ctx context.Context) ([]byte, error) {
		out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: &decrypt})
		var absent *ssmtypes.ParameterNotFound
		var noVersion *ssmtypes.ParameterVersionNotFound
		switch {
		case errors.As(err, &absent), errors.As(err, &noVersion):
			return nil, secret.ErrNotFound
		case err != nil:
			return nil, err
		case out.Parameter == nil || out.Parameter.Value == nil:
			return nil, errors.New("no value in the answer")
		case out.Parameter.Type != ssmtypes.ParameterTypeSecureString:
			return nil, fmt.Errorf("its type is %s: store it as a SecureString", out.Parameter.Type)
		}
		return []byte(*out.Parameter.Value), nil
	}
	return secret.Func("AWS parameter "+name, get)
}
