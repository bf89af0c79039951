/** What a password proves: the `acr` of a sign-in at our pages. */
export const PASSWORD_ACR = 'pwd';
