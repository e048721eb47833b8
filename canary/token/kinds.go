package token

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Proofs, from best to none.
const (
	proofSignature   = "request signature (SigV4)"
	proofCertificate = "TLS client certificate"
	proofAssertion   = "signed JWT assertion"
	proofKey         = "public-key signature"
	proofPassword    = "password or bearer token"
)

var kinds = map[string]kind{
	"aws":        {proofSignature, awsCredential, aws},
	"kubeconfig": {proofCertificate, nil, kubeconfig},
	"gcp":        {proofAssertion, gcpCredential, gcp},
	"docker":     {proofPassword, nil, docker},
	"npm":        {proofPassword, npmCredential, npm},
	"netrc":      {proofPassword, nil, netrc},
	"git":        {proofPassword, gitCredential, git},
	"pgpass":     {proofPassword, nil, pgpass},
	"mysql":      {proofPassword, nil, mysql},
	"env":        {proofPassword, nil, env},
	"vault":      {proofPassword, vaultCredential, vault},
	"ssh":        {proofKey, nil, sshKey},
}

// awsCredential has the form of an access key. The account that can be decoded
// from it is nobody's: requests go to endpoint_url, not to AWS.
func awsCredential(c Credential) Credential {
	c.ID = "AKIA" + strings.ToUpper(c.ID)
	c.Secret = (c.Secret + base64.RawStdEncoding.EncodeToString(c.Seed[:]))[:40]
	return c
}

func aws(s source) ([]File, error) {
	return []File{
		s.text(".aws/config", "[default]\nregion = eu-central-1\noutput = json\nendpoint_url = "+s.endpoint.String()+"\n"),
		s.text(".aws/credentials", "[default]\naws_access_key_id = "+s.ID+"\naws_secret_access_key = "+s.Secret+"\n"),
	}, nil
}

func gcpCredential(c Credential) Credential {
	c.ID = "backup-" + c.ID[:6] + "@prod-" + c.ID[6:12] + ".iam.gserviceaccount.com"
	return c
}

func gcp(s source) ([]File, error) {
	key, err := rsaPEM(s.Seed)
	if err != nil {
		return nil, err
	}
	project := strings.TrimSuffix(s.ID[strings.Index(s.ID, "@")+1:], ".iam.gserviceaccount.com")
	text, err := json.MarshalIndent(struct {
		Type         string `json:"type"`
		ProjectID    string `json:"project_id"`
		PrivateKeyID string `json:"private_key_id"`
		PrivateKey   string `json:"private_key"`
		ClientEmail  string `json:"client_email"`
		ClientID     string `json:"client_id"`
		AuthURI      string `json:"auth_uri"`
		TokenURI     string `json:"token_uri"`
	}{
		"service_account", project, fmt.Sprintf("%x", s.Seed[:20]), key, s.ID,
		fmt.Sprintf("1%020d", uint64(s.Seed[0])<<40|uint64(s.Seed[1])<<32|uint64(s.Seed[2])<<24|uint64(s.Seed[3])),
		"https://accounts.google.com/o/oauth2/auth", s.endpoint.JoinPath("token").String(),
	}, "", "  ")
	return []File{s.text(".config/gcloud/application_default_credentials.json", string(text)+"\n")}, err
}

func docker(s source) ([]File, error) {
	auth := base64.StdEncoding.EncodeToString([]byte("deploy-" + s.ID + ":" + s.Secret))
	return []File{s.text(".docker/config.json", "{\n\t\"auths\": {\n\t\t\""+s.endpoint.Host+"\": {\n\t\t\t\"auth\": \""+auth+"\"\n\t\t}\n\t}\n}\n")}, nil
}

func npmCredential(c Credential) Credential {
	c.Secret = "npm_" + (c.Secret + c.ID + c.ID)[:36]
	return c
}

func npm(s source) ([]File, error) {
	registry := s.endpoint.JoinPath("npm/")
	registry.RawQuery = ""
	return []File{s.text(".npmrc", "registry="+registry.String()+"\n//"+registry.Host+registry.Path+":_authToken="+s.Secret+"\nalways-auth=true\n")}, nil
}

func netrc(s source) ([]File, error) {
	return []File{s.text(".netrc", "machine "+s.host()+"\n  login svc-"+s.ID+"\n  password "+s.Secret+"\n")}, nil
}

func gitCredential(c Credential) Credential {
	c.Secret = "glpat-" + c.Secret[:20]
	return c
}

func git(s source) ([]File, error) {
	return []File{
		s.text(".git-credentials", s.endpoint.Scheme+"://ci-"+s.ID+":"+s.Secret+"@"+s.endpoint.Host+"\n"),
		s.text(".gitconfig", "[credential]\n\thelper = store\n[user]\n\tname = ci\n\temail = ci@"+s.host()+"\n"),
	}, nil
}

func pgpass(s source) ([]File, error) {
	return []File{s.text(".pgpass", strings.ReplaceAll(s.host(), ":", `\:`)+":5432:*:app_"+s.ID+":"+s.Secret+"\n")}, nil
}

func mysql(s source) ([]File, error) {
	return []File{s.text(".my.cnf", "[client]\nhost="+s.host()+"\nport=3306\nuser=app_"+s.ID[:10]+"\npassword="+s.Secret+"\n")}, nil
}

func env(s source) ([]File, error) {
	return []File{s.text(".env", "APP_ENV=production\nLOG_LEVEL=info\n"+
		"DATABASE_URL=postgres://app_"+s.ID+":"+s.Secret+"@"+s.host()+":5432/app?sslmode=require\n"+
		"REDIS_URL=redis://:"+s.Secret+"@"+s.host()+":6379/0\n"+
		"API_BASE_URL="+s.endpoint.String()+"\nAPI_TOKEN="+s.ID+"."+s.Secret+"\n")}, nil
}

func vaultCredential(c Credential) Credential {
	c.Secret = "hvs." + c.Secret[:24]
	return c
}

func vault(s source) ([]File, error) {
	return []File{
		s.text(".vault-token", s.Secret),
		s.text(".profile", "export VAULT_ADDR="+s.endpoint.Scheme+"://"+s.endpoint.Host+"\nexport VAULT_NAMESPACE=team-"+s.ID[:8]+"\n"),
	}, nil
}

// sshKey is for a user name that is the token's identity.
func sshKey(s source) ([]File, error) {
	private, public := openSSH(s.Seed, "deploy@"+s.host())
	key := s.text(".ssh/id_ed25519", private)
	pub := s.text(".ssh/id_ed25519.pub", public)
	pub.Mode = 0o644
	return []File{key, pub, s.text(".ssh/config", "Host bastion\n  HostName "+s.host()+"\n  Port 22\n  User ops-"+s.ID+"\n  IdentityFile ~/.ssh/id_ed25519\n")}, nil
}

func kubeconfig(s source) ([]File, error) {
	certificate, key, err := clientCertificate(s)
	if err != nil {
		return nil, err
	}
	server := s.endpoint.Scheme + "://" + s.host() + ":" + s.port("6443")
	authority := "    insecure-skip-tls-verify: true\n"
	if len(s.ca) > 0 {
		authority = "    certificate-authority-data: " + base64.StdEncoding.EncodeToString(s.ca) + "\n"
	}
	return []File{s.text(".kube/config", "apiVersion: v1\nkind: Config\nclusters:\n- name: production\n  cluster:\n"+authority+
		"    server: "+server+"\ncontexts:\n- name: production\n  context:\n    cluster: production\n    user: deployer\ncurrent-context: production\nusers:\n- name: deployer\n  user:\n"+
		"    client-certificate-data: "+base64.StdEncoding.EncodeToString(certificate)+"\n    client-key-data: "+base64.StdEncoding.EncodeToString(key)+"\n")}, nil
}
