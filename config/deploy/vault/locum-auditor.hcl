# What an auditor of Locum may do in Vault or OpenBao: see which records there are, and when each was written, deleted or
# destroyed. No record itself: nothing below `locum/data`. Who wrote is in the server's own audit. `locum` is the mount.

path "locum/metadata/accounts" {
  capabilities = ["list"]
}
path "locum/metadata/clients" {
  capabilities = ["list"]
}
path "locum/metadata/tenants" {
  capabilities = ["list"]
}
path "locum/metadata/tokens" {
  capabilities = ["list"]
}
path "locum/metadata/operators" {
  capabilities = ["list"]
}
path "locum/metadata/usage" {
  capabilities = ["list"]
}
path "locum/metadata/seen" {
  capabilities = ["list"]
}
path "locum/metadata/tickets" {
  capabilities = ["list"]
}

path "locum/metadata/accounts/+" {
  capabilities = ["read"]
}
path "locum/metadata/clients/+" {
  capabilities = ["read"]
}
path "locum/metadata/tenants/+" {
  capabilities = ["read"]
}
path "locum/metadata/tokens/+" {
  capabilities = ["read"]
}
path "locum/metadata/operators/+" {
  capabilities = ["read"]
}
path "locum/metadata/usage/+" {
  capabilities = ["read"]
}
path "locum/metadata/seen/+" {
  capabilities = ["read"]
}
path "locum/metadata/tickets/+" {
  capabilities = ["read"]
}
path "locum/metadata/changes/+" {
  capabilities = ["read"]
}

# Whether compare-and-set is demanded, and how many versions are kept.
path "locum/config" {
  capabilities = ["read"]
}
