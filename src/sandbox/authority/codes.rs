//! The codes of Entra with what goes with each: status, `error`, and a sentence in which `{app}` and `{tenant}` stand for
//! themselves. From its published list of errors ("Microsoft Entra authentication and authorization error codes").

/// A code.
pub(super) struct Code {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) sentence: &'static str,
}

/// The entry of a code; whatever is not listed is a grant that is not good.
pub(super) fn code(number: u32) -> Code {
    let listed = CODES.iter().find(|(listed, ..)| *listed == number);
    let (status, error, sentence) = listed
        .map_or((400, "invalid_grant", "An error has occurred."), |(_, status, error, text)| (*status, error, text));
    Code { status, error, sentence }
}

const CODES: &[(u32, u16, &str, &str)] = &[
    (
        28_000,
        400,
        "invalid_request",
        "Provided value for the input parameter scope is not valid because it contains more than one resource.",
    ),
    (
        50_011,
        400,
        "invalid_request",
        "The redirect URI specified in the request does not match the redirect URIs configured for the application '{app}'.",
    ),
    (50_027, 400, "invalid_client", "JWT token is invalid or malformed."),
    (
        50_034,
        400,
        "invalid_grant",
        "The user account does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory.",
    ),
    (
        50_053,
        400,
        "invalid_grant",
        "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
    ),
    (50_055, 400, "invalid_grant", "The password is expired."),
    (50_056, 400, "invalid_grant", "Invalid or null password: password does not exist in the directory for this user."),
    (50_057, 400, "invalid_grant", "The user account is disabled."),
    (
        50_072,
        400,
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access this resource.",
    ),
    (50_074, 400, "invalid_grant", "Strong Authentication is required."),
    (
        50_076,
        400,
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access this resource.",
    ),
    (
        50_078,
        400,
        "invalid_grant",
        "Presented multi-factor authentication has expired due to policies configured by your administrator, you must refresh your multi-factor authentication to access this resource.",
    ),
    (
        50_079,
        400,
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access this resource.",
    ),
    (
        50_105,
        400,
        "invalid_grant",
        "Your administrator has configured the application '{app}' to block users unless they are specifically granted ('assigned') access to the application.",
    ),
    (50_126, 400, "invalid_grant", "Error validating credentials due to invalid username or password."),
    (
        50_131,
        400,
        "invalid_grant",
        "Device is not in required device state, or the request was blocked due to suspicious activity, access policy, or security policy decisions.",
    ),
    (50_144, 400, "invalid_grant", "The user's Active Directory password has expired."),
    (
        50_158,
        400,
        "interaction_required",
        "External security challenge not satisfied. User will be redirected to another page or authentication provider to satisfy additional authentication challenges.",
    ),
    (
        50_173,
        400,
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.",
    ),
    (
        50_194,
        400,
        "invalid_request",
        "Application '{app}' is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps.",
    ),
    (
        50_196,
        400,
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.",
    ),
    (
        53_000,
        400,
        "invalid_grant",
        "Device is not in required device state: compliant. Conditional Access policy requires a compliant device, and the device is not compliant.",
    ),
    (
        53_001,
        400,
        "invalid_grant",
        "Device is not in required device state: domain_joined. Conditional Access policy requires a domain joined device, and the device is not domain joined.",
    ),
    (53_002, 400, "invalid_grant", "The app used is not an approved app for Conditional Access."),
    (
        53_003,
        400,
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    (
        54_005,
        400,
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
    ),
    (
        65_001,
        400,
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{app}'. Send an interactive authorization request for this user and resource.",
    ),
    (70_000, 400, "invalid_grant", "Provided grant is invalid or malformed."),
    (70_001, 400, "unauthorized_client", "The application '{app}' is disabled."),
    (70_002, 400, "invalid_client", "Error validating credentials."),
    (70_003, 400, "unsupported_grant_type", "The app requested an unsupported grant type."),
    (
        70_008,
        400,
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.",
    ),
    (
        70_011,
        400,
        "invalid_scope",
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid.",
    ),
    (70_016, 400, "authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    (
        70_018,
        400,
        "bad_verification_code",
        "Invalid verification code due to user typing in wrong user code for device code flow.",
    ),
    (70_019, 400, "expired_token", "Verification code expired."),
    (
        70_043,
        400,
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks by Conditional Access.",
    ),
    (
        90_002,
        400,
        "invalid_request",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.",
    ),
    (90_033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    (90_094, 400, "invalid_grant", "Admin consent is required for the permissions requested by this application."),
    (500_011, 400, "invalid_resource", "The resource principal was not found in the tenant named {tenant}."),
    (
        500_112,
        401,
        "invalid_client",
        "The reply address does not match the reply address provided when requesting Authorization code.",
    ),
    (
        501_481,
        400,
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    (530_035, 400, "invalid_grant", "Access has been blocked by security defaults."),
    (
        650_052,
        400,
        "invalid_client",
        "The app is trying to access a service that your organization '{tenant}' lacks a service principal for. Contact your IT Admin to review the configuration of your service subscriptions.",
    ),
    (
        650_056,
        400,
        "invalid_client",
        "Misconfigured application. The client has not listed any permissions in the requested permissions in the client's application registration.",
    ),
    (
        650_057,
        400,
        "invalid_resource",
        "Invalid resource. The client has requested access to a resource which is not listed in the requested permissions in the client's application registration. Client app ID: {app}.",
    ),
    (
        700_011,
        400,
        "unauthorized_client",
        "Application with identifier '{app}' was not found in the directory associated with the refresh token.",
    ),
    (
        700_016,
        400,
        "unauthorized_client",
        "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
    ),
    (700_021, 401, "invalid_client", "Client assertion application identifier doesn't match 'client_id' parameter."),
    (700_023, 401, "invalid_client", "Client assertion audience claim does not match Realm issuer."),
    (700_024, 401, "invalid_client", "Client assertion is not within its valid time range."),
    (
        700_025,
        401,
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    ),
    (700_027, 401, "invalid_client", "Client assertion failed signature validation."),
    (
        700_082,
        400,
        "invalid_grant",
        "The refresh token has expired due to inactivity. The token was issued on 2026-08-01T08:00:00.0000000Z and was inactive for 90.00:00:00.",
    ),
    (900_144, 400, "invalid_request", "The request body lacks a parameter."),
    (
        1_002_012,
        400,
        "invalid_scope",
        "Client credential flows must have a scope value with /.default suffixed to the resource identifier.",
    ),
    (
        7_000_215,
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{app}'.",
    ),
    (
        7_000_218,
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    (
        7_000_222,
        401,
        "invalid_client",
        "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
    ),
];
