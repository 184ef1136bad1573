# What an operator of Locum may do in Vault or OpenBao: everything with records, and nothing beside them: no policies, no
# logins, not the mount itself. `locum` is the mount.

# Every write is a compare-and-set, to which creating and updating are two things.
path "locum/data/accounts/+" {
  capabilities = ["create", "read", "update"]
}
path "locum/data/clients/+" {
  capabilities = ["create", "read", "update"]
}
path "locum/data/tenants/+" {
  capabilities = ["create", "read", "update"]
}
path "locum/data/tokens/+" {
  capabilities = ["create", "read", "update"]
}
# Who may sign in to the API and the console. Who has this policy can make an admin; no node can.
path "locum/data/operators/+" {
  capabilities = ["create", "read", "update"]
}
# What nodes told long ago is written over and forgotten.
path "locum/data/usage/+" {
  capabilities = ["read", "update"]
}
path "locum/data/seen/+" {
  capabilities = ["read", "update"]
}

# A write that no node hears of is in use only when the nodes look again by themselves.
path "locum/data/changes/+" {
  capabilities = ["create", "read", "update"]
}

# `locum account list`, and copies of the whole store.
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
# `locum report rotation`.
path "locum/metadata/usage" {
  capabilities = ["list"]
}
# `locum report usage` and `locum report inventory`.
path "locum/metadata/seen" {
  capabilities = ["list"]
}
path "locum/metadata/tickets" {
  capabilities = ["list"]
}

# Which versions of a record there are; and, by `delete`, to forget it with all of them. No update: who may write metadata
# can lift the demand for compare-and-set.
path "locum/metadata/accounts/+" {
  capabilities = ["read", "delete"]
}
path "locum/metadata/clients/+" {
  capabilities = ["read", "delete"]
}
path "locum/metadata/tenants/+" {
  capabilities = ["read", "delete"]
}
path "locum/metadata/tokens/+" {
  capabilities = ["read", "delete"]
}
path "locum/metadata/operators/+" {
  capabilities = ["read", "delete"]
}
path "locum/metadata/usage/+" {
  capabilities = ["read", "delete"]
}
path "locum/metadata/seen/+" {
  capabilities = ["read", "delete"]
}
# To throw away the keys of TLS tickets: nodes make others. Nobody but nodes reads them.
path "locum/metadata/tickets/+" {
  capabilities = ["read", "delete"]
}

# An old version still holds the secret that was replaced: destroying it is what ends that secret.
path "locum/destroy/accounts/+" {
  capabilities = ["update"]
}
path "locum/destroy/clients/+" {
  capabilities = ["update"]
}
path "locum/destroy/tenants/+" {
  capabilities = ["update"]
}
path "locum/destroy/tokens/+" {
  capabilities = ["update"]
}
path "locum/destroy/operators/+" {
  capabilities = ["update"]
}
path "locum/destroy/usage/+" {
  capabilities = ["update"]
}
path "locum/destroy/seen/+" {
  capabilities = ["update"]
}
path "locum/destroy/tickets/+" {
  capabilities = ["update"]
}

# The proof that the mount is a KV engine of version 2, where sys/internal/ui/mounts does not give it.
path "locum/config" {
  capabilities = ["read"]
}

# `locum client issue --wrap`: a secret is left here for whoever has the token, once.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
